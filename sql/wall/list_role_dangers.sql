-- List what would let the role that runs this pass the wall; for the service's role there is nothing.
--
-- returns     danger text : a sentence for each

with attributes (holds, name) as (
    select
        unnest(array[rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication]),
        unnest(array['is a superuser', 'has BYPASSRLS', 'has CREATEROLE', 'has CREATEDB', 'has REPLICATION'])
    from pg_catalog.pg_roles
    where rolname = current_user
),

relations as (
    select
        oid,
        relname,
        relkind,
        relowner,
        relrowsecurity and relforcerowsecurity as walled
    from pg_catalog.pg_class
    where relnamespace = pg_catalog.to_regnamespace('app')
      and relkind in ('r', 'p', 'v', 'm', 'f')
)

select 'it ' || name as danger
from attributes
where holds

union all

select 'it may become ' || pg_catalog.string_agg(rolname, ', ' order by rolname)
from pg_catalog.pg_roles
where rolname <> current_user
  and pg_catalog.pg_has_role(oid, 'member')
  and (
      rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication
      or rolname = 'daymark_analyst'
      or rolname like 'pg\_%'
  )
having count(*) > 0

union all

select 'it owns ' || pg_catalog.string_agg('app.' || relname, ', ' order by relname)
from relations
where pg_catalog.pg_has_role(relowner, 'member')
having count(*) > 0

union all

select 'it may read or change ' || pg_catalog.string_agg('app.' || relname, ', ' order by relname)
    || ', which no policy keeps from it'
from relations
where relkind in ('r', 'p')
  and pg_catalog.has_any_column_privilege(oid, 'select, insert, update, references')
  and not (walled and pg_catalog.row_security_active(oid))
having count(*) > 0

union all

select 'it may read or change ' || pg_catalog.string_agg('app.' || relname, ', ' order by relname)
    || ', which is the owner''s alone'
from relations
where relname in ('seal_keys', 'pins')
  and pg_catalog.has_any_column_privilege(oid, 'select, insert, update, references')
having count(*) > 0

union all

select 'it may empty, lock or hook ' || pg_catalog.string_agg('app.' || relname, ', ' order by relname)
from relations
where pg_catalog.has_table_privilege(oid, 'delete, truncate, trigger, references, update')
having count(*) > 0

union all

select 'it may make objects of its own in ' || pg_catalog.string_agg(nspname, ', ' order by nspname)
from pg_catalog.pg_namespace
where pg_catalog.has_schema_privilege(oid, 'create')
having count(*) > 0

union all

select 'it may make schemas or temporary tables in this database'
where pg_catalog.has_database_privilege(pg_catalog.current_database(), 'create, temporary')

union all

select 'row_security is off'
where pg_catalog.current_setting('row_security') <> 'on';
