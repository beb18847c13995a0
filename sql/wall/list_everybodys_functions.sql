-- List functions of Postgres itself that reach over tenants and that everybody, or a bound role, may still call. For
-- the administrator.
--
-- returns     danger text : a sentence for each
--
-- The same functions as in migrations/0009.narrow-rights.sql, where it says why.

select
    pg_catalog.format(
        '%s may call %s', coalesce(role.rolname, 'everybody'), called.oid::pg_catalog.regprocedure
    ) as danger
from pg_catalog.pg_proc as called
cross join pg_catalog.aclexplode(coalesce(called.proacl, pg_catalog.acldefault('f', called.proowner))) as entry
left join pg_catalog.pg_roles as role
    on role.oid = entry.grantee
where called.pronamespace = 'pg_catalog'::pg_catalog.regnamespace
  and (entry.grantee = 0 or role.rolname in ('daymark_service', 'daymark_analyst'))
  and (
      called.proname like 'lo\_%'
      or called.proname in ('loread', 'lowrite', 'pg_stat_get_activity', 'pg_stat_get_backend_activity')
      or called.proname like 'pg\_advisory\_%'
      or called.proname like 'pg\_try\_advisory\_%'
      or called.proname in ('pg_notify', 'pg_export_snapshot', 'pg_logical_emit_message')
      or called.proname in ('pg_prepared_statement', 'pg_cancel_backend', 'pg_terminate_backend')
  );
