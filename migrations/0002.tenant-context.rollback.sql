set lock_timeout = '5s';
set statement_timeout = '1min';

drop function app.enter(uuid, uuid, text);
drop function app.role();
drop function app.user_id();
drop function app.tenant_id();
