-- List what became of the advice that a person was given, by topic.
--
-- tenant_id     uuid         the caller's tenant
-- user_id       uuid         whose recommendations
-- given_after   timestamptz  advice given at this instant or before is forgotten, unless it was judged lately
-- judged_after  timestamptz  what was judged at this instant or before was not judged lately, and may come back
-- uses          user_recommendations_newest, user_recommendations_judged (an index for each way to be remembered)
-- returns       topic text, given bigint, viewed bigint, helpful bigint, unhelpful bigint, avoid boolean, helped boolean,
--               refused text[] : the topic that was judged last comes first; refused holds what was called unhelpful
--               lately. Advice from before there were topics is the last row, which has none

with remembered as (
    select
        topic,
        recommendation,
        viewed,
        helpful,
        judged_at
    from app.user_recommendations
    where tenant_id = :'tenant_id'
      and user_id = :'user_id'
      and generated_at > :'given_after'::timestamptz
    union all
    -- Not one condition with "or": that would read all that a person ever got.
    select
        topic,
        recommendation,
        viewed,
        helpful,
        judged_at
    from app.user_recommendations
    where tenant_id = :'tenant_id'
      and user_id = :'user_id'
      and generated_at <= :'given_after'::timestamptz
      and judged_at > :'judged_after'::timestamptz
),

last_words as (
    select distinct on (topic)
        topic,
        helpful,
        judged_at
    from remembered
    where judged_at is not null
    order by topic, judged_at desc, helpful
)

select
    remembered.topic,
    count(*) as given,
    count(*) filter (where remembered.viewed) as viewed,
    count(*) filter (where remembered.helpful) as helpful,
    count(*) filter (where not remembered.helpful) as unhelpful,
    coalesce(
        bool_or(not last_words.helpful and last_words.judged_at > :'judged_after'::timestamptz), false
    ) as avoid,
    coalesce(bool_or(last_words.helpful), false) as helped,
    coalesce(
        array_agg(distinct remembered.recommendation) filter (
            where not remembered.helpful and remembered.judged_at > :'judged_after'::timestamptz
        ),
        '{}'
    ) as refused
from remembered
left join last_words
    using (topic)
group by remembered.topic
order by max(last_words.judged_at) desc nulls last, remembered.topic;
