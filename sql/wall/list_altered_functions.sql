-- List functions of schema app that differ from those of the same name and arguments in this session's temporary
-- schema, where `daymark doctor` has made them anew, as the release's migrations do. For the administrator.
--
-- returns     danger text : a sentence for each

with described as (
    select
        oid,
        pronamespace,
        proname,
        proargtypes,
        pg_catalog.to_jsonb(pg_proc) - array['oid', 'pronamespace', 'proowner', 'proacl', 'prosqlbody'] as attributes,
        pg_catalog.pg_get_function_sqlbody(oid) as body
    from pg_catalog.pg_proc
    where pronamespace in ('app'::pg_catalog.regnamespace, pg_catalog.pg_my_temp_schema())
)

select
    pg_catalog.format('%s is not as this release makes it', live.oid::pg_catalog.regprocedure) as danger
from described as live
join described as made
    using (proname, proargtypes)
where live.pronamespace = 'app'::pg_catalog.regnamespace
  and made.pronamespace = pg_catalog.pg_my_temp_schema()
  and (live.attributes, live.body) is distinct from (made.attributes, made.body);
