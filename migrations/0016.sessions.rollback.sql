set lock_timeout = '5s';
set statement_timeout = '1min';

drop table app.refresh_tokens;
drop table app.sessions;
drop table app.credentials;
