-- Count how often a person asked for new recommendations of late, not counting when no AI was asked for them.
--
-- tenant_id   uuid         the caller's tenant
-- user_id     uuid         whose runs
-- after       timestamptz  what was started at this instant or before does not count
-- run_id      uuid         does not count either: the run that is asking
-- uses        recommendation_runs_refreshed (an index)
-- returns     refreshes bigint, first_at timestamptz : the first of those counted

select
    count(*) as refreshes,
    min(started_at) as first_at
from app.recommendation_runs
where tenant_id = :'tenant_id'
  and user_id = :'user_id'
  and reason = 'refreshed'
  and started_at > :'after'::timestamptz
  and run_id <> :'run_id'::uuid
  and outcome not in ('circuit_open', 'over_budget');
