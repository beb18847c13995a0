-- Find the run in which somebody is making a person's recommendations just now.
--
-- tenant_id   uuid  the caller's tenant
-- user_id     uuid  whose recommendations
-- uses        recommendation_runs_running (an index)
-- returns     run_id uuid : no row where nobody is, or whoever was has lost the lease

select run_id
from app.recommendation_runs
where tenant_id = :'tenant_id'
  and user_id = :'user_id'
  and outcome = 'running'
  and lease_until > clock_timestamp();
