-- Save that a person logged out: of one session or of all, and what was kept for them is not given out again.
--
-- tenant_id   uuid         the caller's tenant
-- user_id     uuid         the caller
-- session_id  uuid         the session to end; NULL: one that has none of ours
-- everywhere  boolean      end all of the person's sessions
-- now         timestamptz  when
-- address     text         where the person is, or NULL
-- returns     session_id uuid : a row for each session that this ended

with ended as (
    update app.sessions
    set ended_at = :'now'::timestamptz,
        ended_reason = 'logged_out'
    where tenant_id = :'tenant_id'
      and user_id = :'user_id'
      and ended_at is null
      and (:'everywhere'::boolean or session_id = :'session_id'::uuid)
    returning session_id
),

cleared as (
    update app.user_recommendations
    set cleared_at = :'now'::timestamptz
    where tenant_id = :'tenant_id'
      and user_id = :'user_id'
      -- The longest that any settings keep them, stale ones included.
      and generated_at > :'now'::timestamptz - interval '2 days'
      and cleared_at is null
    returning id
),

noted as (
    insert into app.audit_events (tenant_id, user_id, occurred_at, kind, session_id, address, detail)
    select
        :'tenant_id',
        :'user_id',
        :'now'::timestamptz,
        'logged_out',
        :'session_id'::uuid,
        :'address'::text,
        pg_catalog.jsonb_build_object('everywhere', :'everywhere'::boolean, 'sessions', (select count(*) from ended))
    -- Once more out of what one is out of is no event.
    where exists (select from ended)
       or exists (select from cleared)
)

select session_id from ended;
