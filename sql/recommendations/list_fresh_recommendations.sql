-- List a person's newest recommendations that are still fresh enough: the cache look-up.
--
-- tenant_id     uuid         the caller's tenant
-- user_id       uuid         whose recommendations
-- stale_before  timestamptz  what was generated at this instant or before is stale
-- known         text[]       revisions whose rows the caller has: of these comes one row that only names it
-- uses          user_recommendations_newest (an index, and no sort)
-- returns       revision text, newest_at timestamptz, newest_fallback boolean, id uuid, recommendation text,
--               reasoning text, data_point jsonb, topic text, engine text, fallback boolean, based_on jsonb,
--               generated_at timestamptz, viewed boolean, viewed_at timestamptz, helpful boolean : newest batch first,
--               no row on a miss

with kept as materialized (
    select
        id,
        recommendation,
        reasoning,
        data_point,
        topic,
        engine,
        fallback,
        based_on,
        generated_at,
        viewed,
        viewed_at,
        helpful
    from app.user_recommendations
    where tenant_id = :'tenant_id'
      and user_id = :'user_id'
      and generated_at > :'stale_before'::timestamptz
      -- Logged out since.
      and cleared_at is null
    order by generated_at desc, position
    limit 5
),

newest as (
    select
        -- All that can change of a row once it is there; the rest stands and falls with its id.
        md5(string_agg(concat_ws(' ', id, viewed_at, helpful), ',')) as revision,
        max(generated_at) as newest_at,
        -- Of the first row, which is of the newest batch: they come as the index has them.
        (array_agg(fallback))[1] as newest_fallback
    from kept
    having count(*) > 0
)

select
    newest.revision,
    newest.newest_at,
    newest.newest_fallback,
    kept.id,
    kept.recommendation,
    kept.reasoning,
    kept.data_point,
    kept.topic,
    kept.engine,
    kept.fallback,
    kept.based_on,
    kept.generated_at,
    kept.viewed,
    kept.viewed_at,
    kept.helpful
from newest
left join kept on newest.revision <> all (:'known'::text[]);
