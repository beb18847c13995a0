-- Find a user, and hold their row until the transaction ends. For the administrator.
--
-- tenant_id   uuid  the user's tenant
-- user_id     uuid  the user
-- uses        users_pkey (an index)
-- returns     user_id uuid : no row where there is none

select user_id
from app.users
where tenant_id = :'tenant_id'
  and user_id = :'user_id'
for update;
