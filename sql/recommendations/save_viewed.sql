-- Save that a person has seen a recommendation; only the first time counts.
--
-- tenant_id   uuid         the caller's tenant
-- user_id     uuid         whose recommendation
-- id          uuid         which one
-- now         timestamptz  when it was seen
-- uses        user_recommendations_pkey (an index)
-- returns     id uuid, recommendation text, reasoning text, data_point jsonb, topic text, viewed boolean,
--             viewed_at timestamptz, helpful boolean : no row where the person has no such recommendation

update app.user_recommendations
set viewed_at = coalesce(viewed_at, :'now'::timestamptz)
where tenant_id = :'tenant_id'
  and user_id = :'user_id'
  and id = :'id'::uuid
returning id, recommendation, reasoning, data_point, topic, viewed, viewed_at, helpful;
