-- List what a bound role owns, and what in schema app belongs to another than the schema's owner. For the
-- administrator.
--
-- returns     danger text : a sentence for each
--
-- An owner may turn row security off, drop policies and grant: whatever else holds, a bound role owns nothing.

with recursive bound as (
    select
        oid,
        rolname
    from pg_catalog.pg_roles
    where rolname in ('daymark_service', 'daymark_analyst')

    union

    select
        member.oid,
        member.rolname
    from bound
    join pg_catalog.pg_auth_members as granted
        on granted.roleid = bound.oid
    join pg_catalog.pg_roles as member
        on member.oid = granted.member
    -- Who made the roles holds them.
    where member.oid is distinct from (select nspowner from pg_catalog.pg_namespace where nspname = 'app')
      -- Who made a role may only grant it further (16 and later): that alone binds nobody.
      and (
          coalesce((pg_catalog.to_jsonb(granted) ->> 'set_option')::boolean, true)
          or coalesce((pg_catalog.to_jsonb(granted) ->> 'inherit_option')::boolean, true)
      )
)

select pg_catalog.format('%s owns %s', bound.rolname, pg_catalog.pg_describe_object(classid, objid, objsubid)) as danger
from pg_catalog.pg_shdepend as owned
join bound
    on bound.oid = owned.refobjid
where owned.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass
  and owned.deptype = 'o'
  and owned.dbid in (0, (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()))

union all

select pg_catalog.format('%s owns app.%s', pg_catalog.pg_get_userbyid(found.owner), found.name)
from (
    select relnamespace as namespace, relowner as owner, relname as name from pg_catalog.pg_class
    union all
    select pronamespace, proowner, proname from pg_catalog.pg_proc
    union all
    select oprnamespace, oprowner, oprname from pg_catalog.pg_operator
) as found
join pg_catalog.pg_namespace as schema
    on schema.oid = found.namespace
where schema.nspname = 'app'
  and found.owner <> schema.nspowner
  and found.owner not in (select oid from bound);
