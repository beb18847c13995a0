-- Count how often a person had new recommendations made before the time of late, and how often they were made.
--
-- tenant_id   uuid         the caller's tenant
-- user_id     uuid         whose runs
-- after       timestamptz  what was started at this instant or before does not count
-- run_id      uuid         does not count either: the run that is asking
-- uses        recommendation_runs_refreshed (an index)
-- returns     made bigint, first_made_at timestamptz, attempts bigint, first_attempt_at timestamptz : attempts are all;
--             what was given up was made as well, or one could log out each time that an answer is about to come

select
    count(*) filter (where outcome in ('made', 'abandoned')) as made,
    min(started_at) filter (where outcome in ('made', 'abandoned')) as first_made_at,
    count(*) as attempts,
    min(started_at) as first_attempt_at
from app.recommendation_runs
where tenant_id = :'tenant_id'
  and user_id = :'user_id'
  and reason = 'refreshed'
  and started_at > :'after'::timestamptz
  and run_id <> :'run_id'::uuid;
