-- Save how a run ended and what it took.
--
-- tenant_id    uuid         the caller's tenant
-- user_id      uuid         whose run
-- run_id       uuid         the run
-- outcome      text         made, or why not
-- given        text         the engine whose advice was given, or '' where none was
-- calls        bigint       requests sent, retries included
-- tokens_in    bigint       as the API counts them
-- tokens_out   bigint       as the API counts them
-- cost         text         US dollars, or '' where the price is not known
-- duration_ms  bigint       how long the engine took, in milliseconds
-- now          timestamptz  when it ended
-- uses         recommendation_runs_pkey (an index)
-- returns      run_id uuid

-- One that was given up for lost while it went on is put right: what it took, it took.
update app.recommendation_runs
set outcome = :'outcome'::text,
    given = nullif(:'given'::text, ''),
    calls = :'calls'::bigint,
    tokens_in = :'tokens_in'::bigint,
    tokens_out = :'tokens_out'::bigint,
    cost = nullif(:'cost'::text, '')::numeric,
    duration_ms = :'duration_ms'::bigint,
    finished_at = :'now'::timestamptz
where tenant_id = :'tenant_id'
  and user_id = :'user_id'
  and run_id = :'run_id'::uuid
  and outcome in ('running', 'lost')
returning run_id;
