-- Save made-up users of a tenant. For the administrator.
--
-- tenant_id   uuid    the users' tenant
-- emails      text[]  one for each
-- roles       text[]  member or admin, one for each
-- returns     user_id uuid : one row for each that was not there before

insert into app.users (tenant_id, email, role)
select
    :'tenant_id'::uuid,
    made_up.email,
    made_up.role
from unnest(:'emails'::text[], :'roles'::text[]) as made_up (email, role)
on conflict (tenant_id, lower(email)) do nothing
returning user_id;
