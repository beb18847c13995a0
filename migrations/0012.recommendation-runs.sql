-- The runs of an engine: who is being made recommendations just now (the lease), and what making them took (the ledger).

set lock_timeout = '5s';
set statement_timeout = '1min';

create table app.recommendation_runs (
    tenant_id      uuid          not null,
    run_id         uuid          not null,
    user_id        uuid          not null,
    reason         text          not null,
    started_at     timestamptz   not null,
    lease_until    timestamptz   not null,
    outcome        text          not null default 'running',
    finished_at    timestamptz,
    engine         text          not null,
    model          text,
    prompt_version text,
    given          text,
    calls          bigint        not null default 0,
    tokens_in      bigint        not null default 0,
    tokens_out     bigint        not null default 0,
    cost           numeric(12,6),
    duration_ms    bigint,
    based_on       jsonb         not null,
    constraint recommendation_runs_pkey primary key (tenant_id, run_id),
    constraint recommendation_runs_user_fkey foreign key (tenant_id, user_id)
        references app.users (tenant_id, user_id) on delete cascade,
    constraint recommendation_runs_reason_known check (reason in ('missed', 'renewed', 'refreshed')),
    constraint recommendation_runs_outcome_known check (outcome in (
        'running', 'made', 'timed_out', 'unreachable', 'rejected', 'rate_limited', 'server_error', 'refused', 'invalid',
        'failed', 'circuit_open', 'over_budget', 'abandoned', 'lost'
    )),
    constraint recommendation_runs_finished_whole check ((outcome = 'running') = (finished_at is null)),
    constraint recommendation_runs_engine_length check (length(engine) between 1 and 40),
    constraint recommendation_runs_given_length check (length(given) between 1 and 40),
    constraint recommendation_runs_model_length check (length(model) between 1 and 200),
    constraint recommendation_runs_prompt_version_length check (length(prompt_version) between 1 and 40),
    constraint recommendation_runs_use_counted check (
        calls >= 0 and tokens_in >= 0 and tokens_out >= 0 and cost >= 0 and duration_ms >= 0
    )
);
comment on table app.recommendation_runs is
    'One row for each time that recommendations were made; while it is running, it is the person''s lease as well';
comment on column app.recommendation_runs.reason is
    'missed: there were none to give; renewed: those given were stale; refreshed: the person asked for new ones';
comment on column app.recommendation_runs.lease_until is
    'By the database''s clock, the one that all processes share: from then on another may make them';
comment on column app.recommendation_runs.engine is 'The engine that was to make them';
comment on column app.recommendation_runs.given is 'The engine whose advice was given; NULL where none was';
comment on column app.recommendation_runs.calls is 'Requests sent to the engine''s API, retries included';
comment on column app.recommendation_runs.cost is 'US dollars; NULL where the model''s price is not known';

-- Of a person, one run at a time: whoever gets this row in makes the recommendations, all others wait for them.
create unique index recommendation_runs_running
    on app.recommendation_runs (tenant_id, user_id) where outcome = 'running';
-- How often a person refreshed of late.
create index recommendation_runs_refreshed
    on app.recommendation_runs (tenant_id, user_id, started_at) where reason = 'refreshed';
-- What a tenant used, by day.
create index recommendation_runs_started on app.recommendation_runs (tenant_id, started_at);

call app.isolate('app.recommendation_runs');

grant select,
    insert (
        tenant_id, run_id, user_id, reason, started_at, lease_until, engine, model, prompt_version, based_on
    ),
    update (outcome, finished_at, given, calls, tokens_in, tokens_out, cost, duration_ms)
on app.recommendation_runs to daymark_service;
grant select on app.recommendation_runs to daymark_analyst;
