-- List columns and indexed expressions of schema app of which statistics are kept that a row estimate could give
-- away. For the administrator.
--
-- returns     danger text : a sentence for each
--
-- The most common values of all tenants stand in them. Numbers, times, booleans and UUIDs keep theirs: the planner
-- needs them, and what they tell is written down as a limit of the wall. So do several columns together, as long as
-- it is only kept how far one decides the other, and no value.

select
    pg_catalog.format('%s.%s keeps statistics', part.attrelid::pg_catalog.regclass, part.attname) as danger
from pg_catalog.pg_attribute as part
join pg_catalog.pg_class as relation
    on relation.oid = part.attrelid
join pg_catalog.pg_type as type
    on type.oid = part.atttypid
left join pg_catalog.pg_index as index
    on index.indexrelid = part.attrelid
where relation.relnamespace = 'app'::pg_catalog.regnamespace
  and relation.relname not in ('seal_keys', 'pins')
  and part.attnum > 0
  and not part.attisdropped
  -- Of an index, only an expression has statistics of its own.
  and (relation.relkind in ('r', 'p') or (relation.relkind in ('i', 'I') and index.indkey[part.attnum - 1] = 0))
  and type.typcategory not in ('N', 'D', 'T', 'B')
  and type.oid <> 'pg_catalog.uuid'::pg_catalog.regtype
  -- The default is -1, and NULL since PostgreSQL 17.
  and coalesce(part.attstattarget, -1) <> 0

union all

select pg_catalog.format('%s keeps statistics of several columns (%s)', stxrelid::pg_catalog.regclass, stxname)
from pg_catalog.pg_statistic_ext
join pg_catalog.pg_class as relation
    on relation.oid = stxrelid
where relation.relnamespace = 'app'::pg_catalog.regnamespace
  and stxkind <> '{f}';
