-- Save that a person ended one of their sessions from another.
--
-- tenant_id   uuid         the caller's tenant
-- user_id     uuid         the caller
-- id          uuid         the session to end
-- now         timestamptz  when
-- address     text         where the person is, or NULL
-- uses        sessions_pkey (an index)
-- returns     session_id uuid : no row where they have no such session open

with ended as (
    update app.sessions
    set ended_at = :'now'::timestamptz,
        ended_reason = 'revoked'
    where tenant_id = :'tenant_id'
      and user_id = :'user_id'
      and session_id = :'id'::uuid
      and ended_at is null
      and expires_at > :'now'::timestamptz
    returning session_id
),

noted as (
    insert into app.audit_events (tenant_id, user_id, occurred_at, kind, session_id, address)
    select
        :'tenant_id',
        :'user_id',
        :'now'::timestamptz,
        'session_revoked',
        session_id,
        :'address'::text
    from ended
)

select session_id from ended;
