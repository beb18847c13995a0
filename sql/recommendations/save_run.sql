-- Save that a person's recommendations are being made, unless they are already: whoever gets the row makes them.
--
-- tenant_id       uuid         the caller's tenant
-- user_id         uuid         whose recommendations
-- run_id          uuid         the run
-- reason          text         missed, renewed or refreshed
-- now             timestamptz  when it starts
-- lease           integer      for how many milliseconds nobody else may make them
-- engine          text         the engine that is to make them
-- model           text         the model that it asks, or '' for none
-- prompt_version  text         of the prompt that it sends, or '' for none
-- based_on        jsonb        what they are made from: dataPoints and the averages
-- returns         run_id uuid : no row where somebody else is making them

insert into app.recommendation_runs (
    tenant_id, user_id, run_id, reason, started_at, lease_until, engine, model, prompt_version, based_on
)
values (
    :'tenant_id'::uuid,
    :'user_id'::uuid,
    :'run_id'::uuid,
    :'reason'::text,
    :'now'::timestamptz,
    -- The database's clock, which all processes share; a lease is short, and theirs may differ by more.
    clock_timestamp() + interval '1 millisecond' * :'lease'::integer,
    :'engine'::text,
    nullif(:'model'::text, ''),
    nullif(:'prompt_version'::text, ''),
    :'based_on'::jsonb
)
on conflict (tenant_id, user_id) where outcome = 'running' do nothing
returning run_id;
