-- What a tenant may use of AI in a day (UTC), and what it has used.

set lock_timeout = '5s';
set statement_timeout = '1min';

-- The service's own settings hold where nothing is said here.
alter table app.tenants
    add column daily_calls bigint,
    add column daily_tokens bigint,
    add constraint tenants_budget_counted check (daily_calls >= 0 and daily_tokens >= 0) not valid;
comment on column app.tenants.daily_calls is 'Calls of AI a day; NULL: as many as the service''s settings say';
comment on column app.tenants.daily_tokens is 'Tokens of AI a day, in and out; NULL: as many as the service''s settings say';

-- What a tenant has used of it. Apart from the runs, because a member sees only runs of their own, and so that of two
-- calls at the same moment only one can be the last that the budget allows.
create table app.budget_use (
    tenant_id uuid   not null,
    date      date   not null,
    calls     bigint not null,
    tokens    bigint not null,
    constraint budget_use_pkey primary key (tenant_id, date),
    constraint budget_use_tenant_fkey foreign key (tenant_id) references app.tenants (tenant_id) on delete cascade,
    constraint budget_use_counted check (calls >= 0 and tokens >= 0)
);
comment on table app.budget_use is 'What a tenant used of its budget on a day (UTC), what runs may still use set aside';

call app.isolate('app.budget_use');

grant select, insert (tenant_id, date, calls, tokens), update (calls, tokens) on app.budget_use to daymark_service;
grant select on app.budget_use to daymark_analyst;
