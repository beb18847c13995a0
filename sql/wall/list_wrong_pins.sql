-- List pins that do not belong to an analyst's login. For the administrator.
--
-- returns     danger text : a sentence for each
--
-- Whoever is given the name of a login that is gone would find themselves in its tenant.

select
    case
        when role.oid is null then pg_catalog.format('%s is pinned, and no such role exists', pin.login)
        else pg_catalog.format('%s is pinned, and is no member of daymark_analyst', pin.login)
    end as danger
from app.pins as pin
left join pg_catalog.pg_roles as role
    on role.rolname = pin.login
where not exists (
    select
    from pg_catalog.pg_auth_members as granted
    where granted.member = role.oid
      and granted.roleid = pg_catalog.to_regrole('daymark_analyst')
);
