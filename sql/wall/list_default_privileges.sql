-- List rights that a new table or function would come with. For the administrator.
--
-- returns     danger text : a sentence for each

with kept as (
    select
        defaults.defaclrole,
        defaults.defaclobjtype,
        entry.grantee,
        entry.privilege_type
    from pg_catalog.pg_default_acl as defaults
    cross join pg_catalog.aclexplode(defaults.defaclacl) as entry
    where defaults.defaclnamespace in (0, 'app'::pg_catalog.regnamespace)
)

select
    pg_catalog.format(
        'what %s makes comes with %s for %s',
        pg_catalog.pg_get_userbyid(kept.defaclrole), kept.privilege_type, coalesce(role.rolname, 'PUBLIC')
    ) as danger
from kept
left join pg_catalog.pg_roles as role
    on role.oid = kept.grantee
where kept.grantee <> kept.defaclrole

union all

select pg_catalog.format('a new function of %s is executable by everybody', pg_catalog.pg_get_userbyid(nspowner))
from pg_catalog.pg_namespace
where nspname = 'app'
  and not exists (
      select
      from pg_catalog.pg_default_acl
      where defaclrole = nspowner
        and defaclnamespace = 0
        and defaclobjtype = 'f'
  );
