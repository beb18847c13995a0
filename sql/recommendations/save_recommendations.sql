-- Save a batch of recommendations.
--
-- tenant_id        uuid         the caller's tenant
-- user_id          uuid         whose recommendations
-- generated_at     timestamptz  when the batch was made
-- engine           text         what made it
-- based_on         jsonb        what it was made from: dataPoints and the averages
-- ids              uuid[]       in the batch's own order, up to five
-- recommendations  text[]       one for each id
-- reasonings       text[]       one for each id
-- data_points      jsonb[]      one for each id
-- returns          id uuid : one row for each that was saved; none where another batch bears the same instant

insert into app.user_recommendations (
    tenant_id, user_id, generated_at, engine, based_on, id, recommendation, reasoning, data_point, position
)
select
    :'tenant_id'::uuid,
    :'user_id'::uuid,
    :'generated_at'::timestamptz,
    :'engine'::text,
    :'based_on'::jsonb,
    given.id,
    given.recommendation,
    given.reasoning,
    given.data_point,
    given.position
from unnest(
    :'ids'::uuid[],
    :'recommendations'::text[],
    :'reasonings'::text[],
    :'data_points'::jsonb[]
) with ordinality as given (id, recommendation, reasoning, data_point, position)
on conflict (tenant_id, user_id, generated_at, position) do nothing
returning id;
