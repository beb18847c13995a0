-- Save an event of the audit trail.
--
-- tenant_id   uuid         the tenant
-- user_id     uuid         whose account it is about
-- now         timestamptz  when it happened
-- kind        text         what
-- address     text         where whoever did it was, or NULL
-- returns     event_id uuid

insert into app.audit_events (tenant_id, user_id, occurred_at, kind, address)
values (:'tenant_id', :'user_id', :'now'::timestamptz, :'kind'::text, :'address'::text)
returning event_id;
