-- List a tenant's audit trail, newest first, a page at a time. For its admins: all others see what is their own.
--
-- tenant_id   uuid         the caller's tenant
-- before      timestamptz  older than this instant, or as old ...
-- before_id   uuid         ... and of a lower id: where the page before ended
-- size        integer      how many at most
-- uses        audit_events_newest (an index, and no sort)
-- returns     event_id uuid, user_id uuid, occurred_at timestamptz, kind text, session_id uuid, address text, detail jsonb

select
    event_id,
    user_id,
    occurred_at,
    kind,
    session_id,
    address,
    detail
from app.audit_events
where tenant_id = :'tenant_id'
  and (occurred_at, event_id) < (:'before'::timestamptz, :'before_id'::uuid)
order by occurred_at desc, event_id desc
limit :'size'::integer;
