-- List a person's open sessions.
--
-- tenant_id   uuid         the caller's tenant
-- user_id     uuid         the caller
-- now         timestamptz  what has expired by then is not open
-- uses        sessions_of_person (an index)
-- returns     session_id uuid, created_at timestamptz, used_at timestamptz, expires_at timestamptz, address text,
--             agent text : newest first, a hundred at most

select
    session_id,
    created_at,
    used_at,
    expires_at,
    address,
    agent
from app.sessions
where tenant_id = :'tenant_id'
  and user_id = :'user_id'
  and ended_at is null
  and expires_at > :'now'::timestamptz
order by created_at desc
limit 100;
