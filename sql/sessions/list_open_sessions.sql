-- List the open sessions of a tenant, or of one of its users. For the administrator.
--
-- tenant_id   uuid         the tenant
-- person      uuid         whose, or NULL for all
-- now         timestamptz  what has expired by then is not open
-- returns     session_id uuid, email text, created_at timestamptz, used_at timestamptz, expires_at timestamptz,
--             address text, agent text : newest first

select
    session.session_id,
    person.email,
    session.created_at,
    session.used_at,
    session.expires_at,
    session.address,
    session.agent
from app.sessions as session
join app.users as person
    on person.tenant_id = session.tenant_id
   and person.user_id = session.user_id
where session.tenant_id = :'tenant_id'
  and session.ended_at is null
  and session.expires_at > :'now'::timestamptz
  and (:'person'::uuid is null or session.user_id = :'person'::uuid)
order by session.created_at desc;
