-- Save a session that a person has just logged in to, and its first refresh token.
--
-- tenant_id      uuid         the person's tenant
-- user_id        uuid         who has logged in
-- session_id     uuid         the new session's id
-- token_hash     bytea        SHA-256 of its refresh token
-- now            timestamptz  when it begins
-- expires_at     timestamptz  until when it can be refreshed
-- address        text         where the person is, or NULL
-- agent          text         their User-Agent, or NULL
-- returns        session_id uuid

with begun as (
    insert into app.sessions (tenant_id, session_id, user_id, created_at, used_at, expires_at, address, agent)
    values (:'tenant_id', :'session_id'::uuid, :'user_id', :'now'::timestamptz, :'now'::timestamptz,
        :'expires_at'::timestamptz, :'address'::text, :'agent'::text)
    returning tenant_id, session_id, user_id, created_at, address
),

issued as (
    insert into app.refresh_tokens (tenant_id, token_hash, user_id, session_id, issued_at)
    select
        tenant_id,
        :'token_hash'::bytea,
        user_id,
        session_id,
        created_at
    from begun
),

noted as (
    insert into app.audit_events (tenant_id, user_id, occurred_at, kind, session_id, address)
    select
        tenant_id,
        user_id,
        created_at,
        'logged_in',
        session_id,
        address
    from begun
)

select session_id from begun;
