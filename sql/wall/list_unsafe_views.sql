-- List views over tables of schema app that run with their owner's rights or let a function see rows before they do.
-- For the administrator.
--
-- returns     danger text : a sentence for each

with views as (
    select distinct
        relation.oid,
        relation.relkind,
        relation.reloptions
    from pg_catalog.pg_rewrite as rule
    join pg_catalog.pg_class as relation
        on relation.oid = rule.ev_class
    left join pg_catalog.pg_depend as used
        on used.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
       and used.objid = rule.oid
       and used.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    left join pg_catalog.pg_class as source
        on source.oid = used.refobjid
    where relation.relkind in ('v', 'm')
      and 'app'::pg_catalog.regnamespace in (relation.relnamespace, source.relnamespace)
)

select pg_catalog.format('%s is not %s', views.oid::pg_catalog.regclass, wanted) as danger
from views
cross join unnest(array['security_invoker', 'security_barrier']) as wanted
where views.relkind = 'v'
  and not exists (
      select
      from pg_catalog.pg_options_to_table(views.reloptions) as chosen
      where chosen.option_name = wanted
        and chosen.option_value::boolean
  )

union all

select pg_catalog.format(
    '%s is materialized: it holds rows of all tenants and knows no policy', oid::pg_catalog.regclass
)
from views
where relkind = 'm';
