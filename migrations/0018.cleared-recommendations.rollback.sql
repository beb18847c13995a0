set lock_timeout = '5s';
set statement_timeout = '1min';

alter table app.user_recommendations drop column cleared_at;
