set lock_timeout = '5s';
set statement_timeout = '1min';

drop table app.audit_events;
