-- Save that a login is pinned to a tenant. For the administrator.
--
-- login       text  the role's name
-- tenant_id   uuid  the tenant
-- returns     login name

insert into app.pins (login, tenant)
values (:'login'::text::name, :'tenant_id'::uuid)
returning login;
