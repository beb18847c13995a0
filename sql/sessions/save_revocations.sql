-- Save that an operator ended sessions of a tenant: one, all of a user's, or all. For the administrator.
--
-- tenant_id   uuid         the tenant
-- person      uuid         whose, or NULL for everybody's
-- session_id  uuid         which, or NULL for all of them
-- now         timestamptz  when
-- returns     session_id uuid : a row for each session that this ended

with ended as (
    update app.sessions
    set ended_at = :'now'::timestamptz,
        ended_reason = 'revoked'
    where tenant_id = :'tenant_id'
      and ended_at is null
      and expires_at > :'now'::timestamptz
      and (:'person'::uuid is null or user_id = :'person'::uuid)
      and (:'session_id'::uuid is null or session_id = :'session_id'::uuid)
    returning user_id, session_id
),

noted as (
    insert into app.audit_events (tenant_id, user_id, occurred_at, kind, session_id, detail)
    select
        :'tenant_id',
        user_id,
        :'now'::timestamptz,
        'session_revoked',
        session_id,
        '{"by": "operator"}'
    from ended
)

select session_id from ended;
