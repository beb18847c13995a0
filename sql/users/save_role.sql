-- Save a user's role, end their sessions where it is another than before, and note it. For the administrator.
--
-- tenant_id   uuid         the user's tenant
-- user_id     uuid         the user
-- role        text         member or admin
-- now         timestamptz  when
-- returns     ended bigint : how many sessions that ended; no row where they had that role already

with before as (
    select role
    from app.users
    where tenant_id = :'tenant_id'
      and user_id = :'user_id'
),

changed as (
    update app.users
    set role = :'role'
    where tenant_id = :'tenant_id'
      and user_id = :'user_id'
      and role <> :'role'
    returning user_id
),

ended as (
    -- Their tokens say what they were.
    update app.sessions
    set ended_at = :'now'::timestamptz,
        ended_reason = 'role_changed'
    where tenant_id = :'tenant_id'
      and user_id = (select user_id from changed)
      and ended_at is null
    returning session_id
),

noted as (
    insert into app.audit_events (tenant_id, user_id, occurred_at, kind, detail)
    select
        :'tenant_id',
        changed.user_id,
        :'now'::timestamptz,
        'role_changed',
        pg_catalog.jsonb_build_object('by', 'operator', 'from', before.role, 'to', :'role')
    from changed, before
)

select (select count(*) from ended) as ended from changed;
