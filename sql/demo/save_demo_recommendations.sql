-- Save made-up batches of recommendations of some users of a tenant. For the administrator.
--
-- tenant_id        uuid         the users' tenant
-- user_ids         uuid[]       whose recommendation, one for each
-- positions        smallint[]   where it stands in the person's batch, one for each
-- generated_at     timestamptz  when the batches were made
-- engine           text         what made them
-- based_ons        jsonb[]      what the person's batch was made from: dataPoints and the averages, one for each
-- recommendations  text[]       one for each
-- reasonings       text[]       one for each
-- data_points      jsonb[]      one for each
-- topics           text[]       one for each
-- returns          saved bigint : how many recommendations

with saved as (
    insert into app.user_recommendations (
        tenant_id, user_id, generated_at, engine, based_on,
        id, recommendation, reasoning, data_point, topic, position
    )
    select
        :'tenant_id'::uuid,
        given.user_id,
        :'generated_at'::timestamptz,
        :'engine'::text,
        given.based_on,
        gen_random_uuid(),
        given.recommendation,
        given.reasoning,
        given.data_point,
        given.topic,
        given.position
    from unnest(
        :'user_ids'::uuid[],
        :'positions'::smallint[],
        :'based_ons'::jsonb[],
        :'recommendations'::text[],
        :'reasonings'::text[],
        :'data_points'::jsonb[],
        :'topics'::text[]
    ) as given (user_id, position, based_on, recommendation, reasoning, data_point, topic)
    returning 1
)

select count(*) as saved from saved;
