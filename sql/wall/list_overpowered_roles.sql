-- List the attributes by which a role that the wall is to bind (the service's, an analyst's) would be above it. For
-- the administrator.
--
-- returns     danger text : a sentence for each

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
),

attributes (rolname, holds, name) as (
    select
        role.rolname,
        unnest(array[role.rolsuper, role.rolbypassrls, role.rolcreaterole, role.rolcreatedb, role.rolreplication]),
        unnest(array['SUPERUSER', 'BYPASSRLS', 'CREATEROLE', 'CREATEDB', 'REPLICATION'])
    from pg_catalog.pg_roles as role
    join bound
        on bound.oid = role.oid
)

select pg_catalog.format('%s has %s', rolname, name) as danger
from attributes
where holds

union all

select 'daymark_analyst, a group, may log in itself'
from pg_catalog.pg_roles
where rolname = 'daymark_analyst'
  and rolcanlogin

union all

select expected || ' is missing'
from unnest(array['daymark_service', 'daymark_analyst']) as expected
where pg_catalog.to_regrole(expected) is null;
