-- Save that a person's run was lost: its lease is over, so the process that had it is gone or hangs.
--
-- tenant_id   uuid         the caller's tenant
-- user_id     uuid         whose run
-- now         timestamptz  when that was found
-- uses        recommendation_runs_running (an index)
-- returns     run_id uuid : no row where there is no such run

update app.recommendation_runs
set outcome = 'lost',
    finished_at = :'now'::timestamptz
where tenant_id = :'tenant_id'
  and user_id = :'user_id'
  and outcome = 'running'
  and lease_until <= clock_timestamp()
returning run_id;
