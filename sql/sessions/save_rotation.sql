-- Save that a refresh token was exchanged for another: the check and the exchange at once, so that of several who
-- exchange the same one, exactly one is given the next. One that was used a while ago was stolen, by whoever came first
-- or by whoever comes now: its session ends, for both.
--
-- tenant_id      uuid         the tenant that the token names
-- user_id        uuid         the person that the token names
-- token_hash     bytea        SHA-256 of the token presented
-- next_hash      bytea        SHA-256 of the one to be given out
-- now            timestamptz  when it is presented
-- grace          integer      for how many seconds after its use it ends nothing: two tabs, or an answer that got lost
-- expires_at     timestamptz  until when the session can then be refreshed
-- address        text         where the person is, or NULL
-- uses           refresh_tokens_pkey (an index)
-- returns        outcome text, session_id uuid, role text : rotated, superseded (used a moment ago), reused (the session
--                has been ended) or void (no such token, or its session is over); role as it is now, if rotated

with presented as (
    select
        tenant_id,
        token_hash,
        session_id,
        used_at
    from app.refresh_tokens
    where tenant_id = :'tenant_id'
      and user_id = :'user_id'
      and token_hash = :'token_hash'::bytea
),

lasting as (
    -- Keeps the session's row until the end: a logout at this very moment comes before or after.
    update app.sessions as session
    set used_at = :'now'::timestamptz,
        expires_at = :'expires_at'::timestamptz
    from presented
    where session.tenant_id = :'tenant_id'
      and session.user_id = :'user_id'
      and session.session_id = presented.session_id
      and session.ended_at is null
      and session.expires_at > :'now'::timestamptz
      and presented.used_at is null
    returning session.session_id
),

rotated as (
    -- Whoever comes second waits here, then finds it used.
    update app.refresh_tokens as token
    set used_at = :'now'::timestamptz
    from lasting
    where token.tenant_id = :'tenant_id'
      and token.user_id = :'user_id'
      and token.token_hash = :'token_hash'::bytea
      and token.used_at is null
      and token.session_id = lasting.session_id
    returning token.session_id
),

issued as (
    insert into app.refresh_tokens (tenant_id, token_hash, user_id, session_id, issued_at)
    select
        :'tenant_id',
        :'next_hash'::bytea,
        :'user_id',
        session_id,
        :'now'::timestamptz
    from rotated
),

reused as (
    update app.sessions as session
    set ended_at = :'now'::timestamptz,
        ended_reason = 'reused'
    from presented
    where session.tenant_id = :'tenant_id'
      and session.user_id = :'user_id'
      and session.session_id = presented.session_id
      and session.ended_at is null
      and presented.used_at <= :'now'::timestamptz - :'grace'::integer * interval '1 second'
    returning session.session_id
),

standing as (
    -- Used a moment ago, by this very client or by somebody else: see what the trail has of it.
    select session.session_id
    from app.sessions as session
    join presented
        on presented.session_id = session.session_id
    where session.tenant_id = :'tenant_id'
      and session.user_id = :'user_id'
      and session.ended_at is null
      and session.expires_at > :'now'::timestamptz
      and not exists (select from reused)
),

noted as (
    insert into app.audit_events (tenant_id, user_id, occurred_at, kind, session_id, address)
    select
        :'tenant_id',
        :'user_id',
        :'now'::timestamptz,
        what.kind,
        what.session_id,
        :'address'::text
    from (
        select 'refreshed' as kind, session_id from rotated
        union all
        select 'refresh_reused', session_id from reused
        union all
        select 'refresh_superseded', session_id from standing where not exists (select from rotated)
    ) as what
)

select
    case
        when exists (select from rotated) then 'rotated'
        when exists (select from reused) then 'reused'
        when exists (select from standing) then 'superseded'
        else 'void'
    end as outcome,
    (select session_id from presented) as session_id,
    (
        select role
        from app.users
        where tenant_id = :'tenant_id'
          and user_id = :'user_id'
    ) as role;
