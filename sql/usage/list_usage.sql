-- List what making recommendations took a tenant, by day (UTC), newest first. For its admins: a member sees their own.
--
-- tenant_id   uuid         the caller's tenant
-- since       timestamptz  runs started from this instant on
-- uses        recommendation_runs_started (an index)
-- returns     date date, engine text, model text, runs bigint, made bigint, people bigint, calls bigint,
--             tokens_in bigint, tokens_out bigint, cost numeric, duration_ms bigint : a row a day, engine and model;
--             duration_ms is the mean

select
    (started_at at time zone 'UTC')::date as date,
    engine,
    model,
    count(*) as runs,
    count(*) filter (where outcome = 'made') as made,
    count(distinct user_id) as people,
    sum(calls)::bigint as calls,
    sum(tokens_in)::bigint as tokens_in,
    sum(tokens_out)::bigint as tokens_out,
    sum(cost) as cost,
    round(avg(duration_ms))::bigint as duration_ms
from app.recommendation_runs
where tenant_id = :'tenant_id'
  and started_at >= :'since'::timestamptz
group by 1, engine, model
order by 1 desc, engine, model;
