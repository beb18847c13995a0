-- Save what a person says of a recommendation: the last word counts. To judge it, they have seen it.
--
-- tenant_id   uuid         the caller's tenant
-- user_id     uuid         whose recommendation
-- id          uuid         which one
-- helpful     boolean      whether it helped
-- note        text         in their own words, or '' for none
-- now         timestamptz  when they said so
-- uses        user_recommendations_pkey (an index)
-- returns     id uuid, recommendation text, reasoning text, data_point jsonb, topic text, viewed boolean,
--             viewed_at timestamptz, helpful boolean : no row where the person has no such recommendation

update app.user_recommendations
set helpful = :'helpful'::boolean,
    note = nullif(:'note'::text, ''),
    judged_at = :'now'::timestamptz,
    viewed_at = coalesce(viewed_at, :'now'::timestamptz)
where tenant_id = :'tenant_id'
  and user_id = :'user_id'
  and id = :'id'::uuid
returning id, recommendation, reasoning, data_point, topic, viewed, viewed_at, helpful;
