-- What the service's role could still do to other tenants' requests, or tell of them, by a statement of its own choosing.

set lock_timeout = '5s';
set statement_timeout = '1min';

-- The right to DELETE from a table is the right to LOCK all of it, for every tenant, in any mode. So a day is deleted by
-- a function that can do nothing else, and only for whoever the verified context names.
create function app.delete_pattern(day date) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    delete from app.pattern_data
    where tenant_id = app.tenant_id()
      and user_id = app.user_id()
      and date = day;
    return found;
end
$$;
comment on function app.delete_pattern(date) is 'Delete one of the caller''s own days; whether it was there';

revoke delete on app.pattern_data from daymark_service;
grant execute on function app.delete_pattern(date) to daymark_service;

-- Functions that are everybody's by default. Large objects belong to no tenant: what one left there, another could read.
-- An advisory lock could keep migrations waiting for ever. What other connections run is not for a tenant's statement
-- to see. Taking them away needs a superuser; where there is none, `daymark doctor` says what is left.
do $$
declare
    everybodys record;
begin
    for everybodys in
        select oid::pg_catalog.regprocedure as signature
        from pg_catalog.pg_proc
        where pronamespace = 'pg_catalog'::pg_catalog.regnamespace
          and (
              proname like 'lo\_%'
              or proname in ('loread', 'lowrite', 'pg_stat_get_activity', 'pg_stat_get_backend_activity')
              or proname like 'pg\_advisory\_%'
              or proname like 'pg\_try\_advisory\_%'
              or proname in ('pg_notify', 'pg_export_snapshot', 'pg_logical_emit_message')
              or proname in ('pg_prepared_statement', 'pg_cancel_backend', 'pg_terminate_backend')
          )
    loop
        execute pg_catalog.format('revoke execute on function %s from public', everybodys.signature);
    end loop;
    grant execute on function pg_catalog.pg_stat_get_activity(integer) to pg_read_all_stats;
    grant execute on function
        pg_catalog.pg_cancel_backend(integer), pg_catalog.pg_terminate_backend(integer, bigint)
    to pg_signal_backend;
exception
    when insufficient_privilege then
        raise notice 'not a superuser: functions that are everybody''s by default stay so';
end
$$;
