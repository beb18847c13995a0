-- List keys and foreign keys that tenant_id does not lead, or that tie a table of schema app to one outside. For the
-- administrator.
--
-- returns     danger text : a sentence for each
--
-- Unique and foreign-key checks ignore row security: without the tenant, they tell one tenant what another has.

with tenants as (
    select
        attribute.attrelid as relation,
        attribute.attnum
    from pg_catalog.pg_attribute as attribute
    join pg_catalog.pg_class as relation
        on relation.oid = attribute.attrelid
    where relation.relnamespace = 'app'::pg_catalog.regnamespace
      and relation.relkind in ('r', 'p')
      and attribute.attname = 'tenant_id'
)

select pg_catalog.format('tenant_id does not lead %s of %s', key.conname, key.conrelid::pg_catalog.regclass) as danger
from pg_catalog.pg_constraint as key
join tenants
    on tenants.relation = key.conrelid
where key.contype in ('p', 'u', 'x', 'f')
  and key.conkey[1] <> tenants.attnum

union all

select pg_catalog.format('%s of %s does not refer to a tenant_id', key.conname, key.conrelid::pg_catalog.regclass)
from pg_catalog.pg_constraint as key
join tenants
    on tenants.relation = key.conrelid
where key.contype = 'f'
  and not exists (select from tenants as other where other.relation = key.confrelid and other.attnum = key.confkey[1])

union all

select pg_catalog.format(
    '%s, a table without a tenant_id, refers to %s (%s)',
    key.conrelid::pg_catalog.regclass, key.confrelid::pg_catalog.regclass, key.conname
)
from pg_catalog.pg_constraint as key
join tenants
    on tenants.relation = key.confrelid
where key.contype = 'f'
  and key.conrelid not in (select relation from tenants)
  and key.conrelid <> 'app.pins'::pg_catalog.regclass;
