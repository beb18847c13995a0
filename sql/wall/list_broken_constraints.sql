-- List constraints and indexes of schema app that are there in name only. For the administrator.
--
-- returns     danger text : a sentence for each

select
    pg_catalog.format('%s of %s is not validated', conname, conrelid::pg_catalog.regclass) as danger
from pg_catalog.pg_constraint
where connamespace = 'app'::pg_catalog.regnamespace
  and not convalidated

union all

select pg_catalog.format('%s of %s is not enforced', conname, conrelid::pg_catalog.regclass)
from pg_catalog.pg_constraint
where connamespace = 'app'::pg_catalog.regnamespace
  -- A column since PostgreSQL 18.
  and pg_catalog.to_jsonb(pg_constraint) ->> 'conenforced' = 'false'

union all

select pg_catalog.format('%s of %s is switched off', constrained.conname, disabled.tgrelid::pg_catalog.regclass)
from pg_catalog.pg_trigger as disabled
join pg_catalog.pg_constraint as constrained
    on constrained.oid = disabled.tgconstraint
where constrained.connamespace = 'app'::pg_catalog.regnamespace
  and disabled.tgisinternal
  and disabled.tgenabled <> 'O'

union all

select pg_catalog.format('index %s is not valid', index.indexrelid::pg_catalog.regclass)
from pg_catalog.pg_index as index
join pg_catalog.pg_class as relation
    on relation.oid = index.indexrelid
where relation.relnamespace = 'app'::pg_catalog.regnamespace
  and not (index.indisvalid and index.indisready and index.indislive);
