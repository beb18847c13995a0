-- List extensions, languages and event triggers that reach files, programs, other databases or the administrator. For
-- the administrator.
--
-- returns     danger text : a sentence for each

select pg_catalog.format('extension %s', extname) as danger
from pg_catalog.pg_extension
where extname in (
    'adminpack', 'dblink', 'file_fdw', 'http', 'lo', 'mysql_fdw', 'oracle_fdw', 'pageinspect', 'pg_background',
    'pg_buffercache', 'pg_cron', 'pg_visibility', 'pg_walinspect', 'pgrowlocks', 'pgstattuple', 'plsh', 'postgres_fdw',
    'tds_fdw'
)

union all

select pg_catalog.format('language %s is not trusted', lanname)
from pg_catalog.pg_language
where not lanpltrusted
  and lanname not in ('internal', 'c')

union all

select pg_catalog.format('event trigger %s runs with the rights of whoever migrates', evtname)
from pg_catalog.pg_event_trigger;
