-- Find a user of a tenant by their e-mail address. For the administrator.
--
-- tenant_id   uuid  the user's tenant
-- email       text  in any case
-- uses        users_email_key (an index)
-- returns     user_id uuid, email text, role text, timezone text : no row where there is none

select user_id, email, role, timezone
from app.users
where tenant_id = :'tenant_id'::uuid
  and lower(email) = lower(:'email'::text);
