-- Save a batch of recommendations.
--
-- tenant_id        uuid         the caller's tenant
-- user_id          uuid         whose recommendations
-- generated_at     timestamptz  when the batch was made
-- engine           text         what made it
-- fallback         boolean      whether the rules stood in for an engine that failed
-- based_on         jsonb        what it was made from: dataPoints and the averages
-- ids              uuid[]       in the batch's own order, up to five
-- recommendations  text[]       one for each id
-- reasonings       text[]       one for each id
-- data_points      jsonb[]      one for each id
-- topics           text[]       one for each id
-- returns          id uuid : one row for each that was saved; none where another batch bears the same instant

with batch as (
    select
        :'tenant_id'::uuid as tenant_id,
        :'user_id'::uuid as user_id,
        :'generated_at'::timestamptz as generated_at,
        :'engine'::text as engine,
        :'fallback'::boolean as fallback,
        :'based_on'::jsonb as based_on,
        -- Asked for before the person logged out: it is kept as a record, and not given out again.
        (
            select cleared_at
            from app.users
            where tenant_id = :'tenant_id'
              and user_id = :'user_id'
              and cleared_at > :'generated_at'::timestamptz
        ) as cleared_at,
        given.*
    from unnest(
        :'ids'::uuid[],
        :'recommendations'::text[],
        :'reasonings'::text[],
        :'data_points'::jsonb[],
        :'topics'::text[]
    ) with ordinality as given (id, recommendation, reasoning, data_point, topic, position)
),

-- Of two batches of one instant the one that gets its first row in is kept, and whole: the other may be the longer one.
first as (
    insert into app.user_recommendations (
        tenant_id, user_id, generated_at, engine, fallback, based_on, cleared_at,
        id, recommendation, reasoning, data_point, topic, position
    )
    select
        tenant_id, user_id, generated_at, engine, fallback, based_on, cleared_at,
        id, recommendation, reasoning, data_point, topic, position
    from batch
    where position = 1
    on conflict (tenant_id, user_id, generated_at, position) do nothing
    returning id
),

others as (
    insert into app.user_recommendations (
        tenant_id, user_id, generated_at, engine, fallback, based_on, cleared_at,
        id, recommendation, reasoning, data_point, topic, position
    )
    select
        tenant_id, user_id, generated_at, engine, fallback, based_on, cleared_at,
        id, recommendation, reasoning, data_point, topic, position
    from batch
    where position > 1
      and exists (select from first)
    returning id
)

select id from first
union all
select id from others;
