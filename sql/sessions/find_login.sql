-- Find whoever logs in: their tenant by its slug or id, and there the person of an e-mail address. Only for a context
-- of no tenant; in any other it finds nothing.
--
-- tenant      text : slug or id
-- email       text
-- returns     tenant_id uuid, email text, user_id uuid, role text, password_hash text : no row where there is no such
--             tenant; the address as it is looked for; the person is NULL where it has none of that address, the hash
--             where they have no password

select
    tenant_id,
    email,
    user_id,
    role,
    password_hash
from app.find_login(:'tenant', :'email');
