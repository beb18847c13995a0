-- Save a user's password, end their sessions, and note it. For the administrator.
--
-- tenant_id      uuid         the user's tenant
-- user_id        uuid         the user
-- password_hash  text         argon2id
-- now            timestamptz  when
-- returns        ended bigint : how many sessions that ended

with saved as (
    insert into app.credentials (tenant_id, user_id, password_hash, changed_at)
    values (:'tenant_id', :'user_id', :'password_hash', :'now'::timestamptz)
    on conflict (tenant_id, user_id) do update
    set password_hash = excluded.password_hash,
        changed_at = excluded.changed_at
),

ended as (
    update app.sessions
    set ended_at = :'now'::timestamptz,
        ended_reason = 'password_changed'
    where tenant_id = :'tenant_id'
      and user_id = :'user_id'
      and ended_at is null
    returning session_id
),

noted as (
    insert into app.audit_events (tenant_id, user_id, occurred_at, kind, detail)
    select
        :'tenant_id',
        :'user_id',
        :'now'::timestamptz,
        'password_changed',
        pg_catalog.jsonb_build_object('by', 'operator', 'sessions', (select count(*) from ended))
)

select count(*) as ended from ended;
