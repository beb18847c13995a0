set lock_timeout = '5s';
set statement_timeout = '1min';

drop function app.clear_person(timestamptz);
drop function app.lock_person();
alter table app.users drop column cleared_at;
alter table app.user_recommendations drop column cleared_at;
