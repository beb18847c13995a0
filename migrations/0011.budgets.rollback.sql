set lock_timeout = '5s';
set statement_timeout = '1min';

drop table app.budget_use;
alter table app.tenants
    drop column daily_calls,
    drop column daily_tokens;
