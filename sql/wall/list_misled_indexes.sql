-- List indexes that tenant_id does not lead. For the administrator.
--
-- returns     danger text : a sentence for each
--
-- EXPLAIN ANALYZE counts the rows that an index found and row security then hid. One is listed: what is unique among
-- all tenants, as an expression over a function that is not leakproof. Under row security that is never looked up,
-- and nobody behind the wall writes it, so that nobody can probe for another's by a duplicate.

select
    pg_catalog.format(
        'tenant_id does not lead %s of %s', index.indexrelid::pg_catalog.regclass, index.indrelid::pg_catalog.regclass
    ) as danger
from pg_catalog.pg_index as index
join pg_catalog.pg_class as relation
    on relation.oid = index.indrelid
join pg_catalog.pg_attribute as tenant
    on tenant.attrelid = index.indrelid
where relation.relnamespace = 'app'::pg_catalog.regnamespace
  and tenant.attname = 'tenant_id'
  and index.indkey[0] <> tenant.attnum
  and not (
      index.indexrelid = pg_catalog.to_regclass('app.tenants_slug_key')
      and exists (
          select
          from pg_catalog.regexp_matches(index.indexprs::text, ':funcid (\d+)', 'g') as used
          join pg_catalog.pg_proc as called
              on called.oid = used[1]::pg_catalog.oid
          where not called.proleakproof
      )
  );
