-- List analysts' logins that this database pins to no tenant. For the administrator.
--
-- returns     danger text : a sentence for each
--
-- They see nothing here; roles are the whole cluster's, so another database may have pinned them.

select pg_catalog.format('%s is pinned to no tenant here', role.rolname) as danger
from pg_catalog.pg_auth_members as granted
join pg_catalog.pg_roles as role
    on role.oid = granted.member
where granted.roleid = pg_catalog.to_regrole('daymark_analyst')
  and role.rolcanlogin
  and not (role.rolsuper or role.rolcreaterole)
  and role.rolname not in (select login from app.pins);
