-- List memberships by which a bound role would be more than itself, or somebody else would be a bound role. For the
-- administrator.
--
-- returns     danger text : a sentence for each
--
-- Listed is one kind: an analyst's login in daymark_analyst. The owner of the schema, who made the roles, may hold
-- them.

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

select pg_catalog.format('%s is a member of %s', bound.rolname, held.rolname) as danger
from bound
join pg_catalog.pg_auth_members as granted
    on granted.member = bound.oid
join pg_catalog.pg_roles as held
    on held.oid = granted.roleid
where held.rolname <> 'daymark_analyst'
   or bound.rolname = 'daymark_service'

union all

select pg_catalog.format('%s may grant %s to others', bound.rolname, held.rolname)
from bound
join pg_catalog.pg_auth_members as granted
    on granted.member = bound.oid
join pg_catalog.pg_roles as held
    on held.oid = granted.roleid
where granted.admin_option;
