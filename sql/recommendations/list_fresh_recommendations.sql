-- List a person's newest recommendations that are still fresh enough: the cache look-up.
--
-- tenant_id     uuid         the caller's tenant
-- user_id       uuid         whose recommendations
-- stale_before  timestamptz  what was generated at this instant or before is stale
-- uses          user_recommendations_newest (an index, and no sort)
-- returns       id uuid, recommendation text, reasoning text, data_point jsonb, topic text, engine text,
--               fallback boolean, based_on jsonb, generated_at timestamptz, viewed boolean, viewed_at timestamptz,
--               helpful boolean : newest batch first, no row on a miss

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
limit 5;
