-- List what of Postgres's own catalog everybody may read, change or call, and might not when the cluster was made.
-- For the administrator.
--
-- returns     danger text : a sentence for each

with objects as (
    select
        tableoid,
        oid,
        0 as part,
        proacl as rights
    from pg_catalog.pg_proc
    where pronamespace = 'pg_catalog'::pg_catalog.regnamespace

    union all

    select
        tableoid,
        oid,
        0,
        relacl
    from pg_catalog.pg_class
    where relnamespace = 'pg_catalog'::pg_catalog.regnamespace

    union all

    select
        relation.tableoid,
        relation.oid,
        part.attnum,
        part.attacl
    from pg_catalog.pg_class as relation
    join pg_catalog.pg_attribute as part
        on part.attrelid = relation.oid
    where relation.relnamespace = 'pg_catalog'::pg_catalog.regnamespace
)

select
    pg_catalog.format(
        'everybody has %s on %s',
        entry.privilege_type,
        pg_catalog.pg_describe_object(objects.tableoid, objects.oid, objects.part)
    ) as danger
from objects
cross join pg_catalog.aclexplode(objects.rights) as entry
left join pg_catalog.pg_init_privs as initial
    on initial.classoid = objects.tableoid
   and initial.objoid = objects.oid
   and initial.objsubid = objects.part
where entry.grantee = 0
  -- Where initdb gave no rights away, a table has none for everybody, and a function has the right to call it.
  and not (initial.initprivs is null and entry.privilege_type = 'EXECUTE')
  and not exists (
      select
      from pg_catalog.aclexplode(initial.initprivs) as before
      where before.grantee = 0
        and before.privilege_type = entry.privilege_type
  );
