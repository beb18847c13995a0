-- Recommendations as they were given, which are also the cache: a batch younger than its hour is read, not made anew.

set lock_timeout = '5s';
set statement_timeout = '1min';

create table app.user_recommendations (
    tenant_id      uuid        not null,
    id             uuid        not null,
    user_id        uuid        not null,
    generated_at   timestamptz not null,
    -- squawk-ignore prefer-bigint-over-smallint -- the check below holds it between 1 and 5
    position       smallint    not null,
    engine         text        not null,
    recommendation text        not null,
    reasoning      text        not null,
    data_point     jsonb,
    based_on       jsonb       not null,
    viewed_at      timestamptz,
    viewed         boolean     not null generated always as (viewed_at is not null) stored,
    constraint user_recommendations_pkey primary key (tenant_id, id),
    constraint user_recommendations_user_fkey foreign key (tenant_id, user_id)
        references app.users (tenant_id, user_id) on delete cascade,
    constraint user_recommendations_position_range check (position between 1 and 5),
    constraint user_recommendations_engine_length check (length(engine) between 1 and 40),
    constraint user_recommendations_recommendation_length check (length(recommendation) between 1 and 500),
    constraint user_recommendations_reasoning_length check (length(reasoning) between 1 and 2000)
);
comment on column app.user_recommendations.position is '1 to 5, within the batch: all rows of one generated_at';
comment on column app.user_recommendations.based_on is
    'What the batch was made from (dataPoints and the averages), on every row, so that a cached read is one index scan';

-- The cache look-up: the tenant and the person by equality, then newest batch first and each batch in its own order,
-- so five rows come off the index as they are wanted and nothing is sorted. Unique, so that two batches made at the
-- same instant cannot be read as one.
create unique index user_recommendations_newest
    on app.user_recommendations (tenant_id, user_id, generated_at desc, position);

-- A person has one tenant. Taking the two for independent, the planner expects one row a person, and reads all that a
-- person ever got where it could look up one id. These statistics hold how far one column decides the other, no value.
create statistics app.user_recommendations_people (dependencies)
    on tenant_id, user_id from app.user_recommendations;

call app.isolate('app.user_recommendations');

grant select,
    insert (tenant_id, id, user_id, generated_at, position, engine, recommendation, reasoning, data_point, based_on),
    update (viewed_at)
on app.user_recommendations to daymark_service;
