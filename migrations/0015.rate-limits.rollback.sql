set lock_timeout = '5s';
set statement_timeout = '1min';

drop function app.forget_limits();
drop table app.rate_limits;
