-- Count a person's runs whose recommendations would still be given out, had the person not logged out; none where they
-- did not.
--
-- tenant_id     uuid         the caller's tenant
-- user_id       uuid         whose runs
-- after         timestamptz  what an engine made in a run that started at this instant or before is over
-- failed_after  timestamptz  and so is what stood in where the engine failed, if it started at this one or before
-- uses          recommendation_runs_started (an index: of the tenant's last hour, not of the person's)
-- returns       runs bigint

select count(*) as runs
from app.recommendation_runs
where tenant_id = :'tenant_id'
  and user_id = :'user_id'
  and started_at > :'after'::timestamptz
  -- Else they are given out, or there is another reason why they are not (the service was stopped, say).
  and (
      exists (
          select
          from app.users
          where tenant_id = :'tenant_id'
            and user_id = :'user_id'
            and cleared_at > :'after'::timestamptz
      )
      or exists (
          select
          from app.sessions
          where tenant_id = :'tenant_id'
            and user_id = :'user_id'
            and ended_at > :'after'::timestamptz
      )
  )
  -- An API was asked: the rules by themselves cost nothing.
  and calls > 0
  and (
      (outcome = 'made' and given = engine)
      -- Whoever logs out while it answers is given nothing, and has had a call all the same.
      or outcome = 'abandoned'
      or started_at > :'failed_after'::timestamptz
  );
