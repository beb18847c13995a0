-- List what hangs on the tables of schema app, or lies beside them, and acts or holds rows behind the policies' back.
-- For the administrator.
--
-- returns     danger text : a sentence for each

select pg_catalog.format('%s has a trigger, %s', tgrelid::pg_catalog.regclass, tgname) as danger
from pg_catalog.pg_trigger
join pg_catalog.pg_class as relation
    on relation.oid = tgrelid
where relation.relnamespace = 'app'::pg_catalog.regnamespace
  and not tgisinternal

union all

select pg_catalog.format('%s has a rule, %s', ev_class::pg_catalog.regclass, rulename)
from pg_catalog.pg_rewrite
join pg_catalog.pg_class as relation
    on relation.oid = ev_class
where relation.relnamespace = 'app'::pg_catalog.regnamespace
  and not (relation.relkind in ('v', 'm') and ev_type = '1')

union all

select pg_catalog.format(
    'app.%s is a %s, which row security does not know',
    relname,
    case relkind when 'f' then 'foreign table' when 'S' then 'sequence' else 'composite type' end
)
from pg_catalog.pg_class
where relnamespace = 'app'::pg_catalog.regnamespace
  and relkind in ('f', 'S', 'c')

union all

select pg_catalog.format('app has an operator of its own, %s', oid::pg_catalog.regoperator)
from pg_catalog.pg_operator
where oprnamespace = 'app'::pg_catalog.regnamespace

union all

-- Of the functions that came after initdb, none may claim that it gives nothing of its arguments away.
select pg_catalog.format('%s claims to be leakproof', oid::pg_catalog.regprocedure)
from pg_catalog.pg_proc
where proleakproof
  and oid >= 16384
  and pronamespace <> 'app'::pg_catalog.regnamespace;
