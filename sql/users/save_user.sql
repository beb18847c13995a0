-- Save a new user. For the administrator: the service's role makes only the caller's own row.
--
-- tenant_id   uuid  the user's tenant
-- email       text  unique within the tenant, whatever its case
-- role        text  member or admin
-- timezone    text  an IANA name
-- returns     user_id uuid

insert into app.users (tenant_id, email, role, timezone)
values (:'tenant_id'::uuid, :'email'::text, :'role'::text, :'timezone'::text)
returning user_id;
