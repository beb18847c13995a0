-- Save a new tenant. For the administrator: the service's role may not.
--
-- slug        text  a short name, as in a host name
-- name        text  what people call it
-- returns     tenant_id uuid

insert into app.tenants (slug, name)
values (:'slug'::text, :'name'::text)
returning tenant_id;
