-- List the analysts: logins that are pinned to a tenant. For the administrator.
--
-- returns     login name, slug text, created_at timestamptz : by login

select
    pin.login,
    tenant.slug,
    pin.created_at
from app.pins as pin
inner join app.tenants as tenant
    on tenant.tenant_id = pin.tenant
order by pin.login;
