-- List what would let the role that runs this pass the wall; for the service's role there is nothing.
--
-- returns     danger text : a sentence for each

select 'it is a superuser' as danger
from pg_catalog.pg_roles
where rolname = current_user
  and rolsuper

union all

select 'it has BYPASSRLS'
from pg_catalog.pg_roles
where rolname = current_user
  and rolbypassrls

union all

select 'it owns ' || string_agg(owned.oid::regclass::text, ', ' order by owned.relname)
from pg_catalog.pg_class as owned
where owned.relnamespace = to_regnamespace('app')
  and owned.relkind in ('r', 'p', 'v')
  and pg_catalog.pg_has_role(owned.relowner, 'member')
having count(*) > 0

union all

select 'it may become ' || string_agg(other.rolname, ', ' order by other.rolname)
from pg_catalog.pg_roles as other
where (other.rolsuper or other.rolbypassrls)
  and other.rolname <> current_user
  and pg_catalog.pg_has_role(other.oid, 'member')
having count(*) > 0;
