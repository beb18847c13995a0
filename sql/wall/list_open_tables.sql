-- List the tables in schema app, partitions included, that are not behind the wall. For the administrator.
--
-- returns     danger text : a sentence for each

with tables as (
    select
        relation.oid,
        relation.relname,
        relation.relrowsecurity,
        relation.relforcerowsecurity,
        exists (
            select
            from pg_catalog.pg_attribute
            where attrelid = relation.oid
              and attname = 'tenant_id'
              and atttypid = 'pg_catalog.uuid'::pg_catalog.regtype
              and attnotnull
        ) as has_tenant
    from pg_catalog.pg_class as relation
    where relation.relnamespace = 'app'::pg_catalog.regnamespace
      and relation.relkind in ('r', 'p')
)

select pg_catalog.format('app.%s has no column "tenant_id uuid not null"', relname) as danger
from tables
where not has_tenant
  and relname not in ('seal_keys', 'pins')

union all

select pg_catalog.format('row security of app.%s is off', relname)
from tables
where not relrowsecurity

union all

select pg_catalog.format('row security of app.%s is not forced on its owner', relname)
from tables
where not relforcerowsecurity

union all

-- A child elsewhere holds rows of a table here, and may be read by its own name under whatever rules hold there.
select pg_catalog.format(
    '%s, outside the schema, holds rows of app.%s', inherited.inhrelid::pg_catalog.regclass, tables.relname
)
from pg_catalog.pg_inherits as inherited
join tables
    on tables.oid = inherited.inhparent
where inherited.inhrelid not in (select oid from tables)

union all

select pg_catalog.format('app.%s inherits from %s', tables.relname, inherited.inhparent::pg_catalog.regclass)
from pg_catalog.pg_inherits as inherited
join tables
    on tables.oid = inherited.inhrelid
where not exists (select from pg_catalog.pg_class where oid = inherited.inhrelid and relispartition)
   or inherited.inhparent not in (select oid from tables);
