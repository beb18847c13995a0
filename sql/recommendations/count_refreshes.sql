-- Count how often a person asked for new recommendations of late, and how often they were made.
--
-- tenant_id   uuid         the caller's tenant
-- user_id     uuid         whose runs
-- after       timestamptz  what was started at this instant or before does not count
-- run_id      uuid         does not count either: the run that is asking
-- uses        recommendation_runs_refreshed (an index)
-- returns     made bigint, first_made_at timestamptz, attempts bigint, first_attempt_at timestamptz : attempts are all

select
    count(*) filter (where outcome = 'made') as made,
    min(started_at) filter (where outcome = 'made') as first_made_at,
    count(*) as attempts,
    min(started_at) as first_attempt_at
from app.recommendation_runs
where tenant_id = :'tenant_id'
  and user_id = :'user_id'
  and reason = 'refreshed'
  and started_at > :'after'::timestamptz
  and run_id <> :'run_id'::uuid;
