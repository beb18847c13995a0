-- Find what whoever examines the wall can see of it. For the administrator.
--
-- returns     migrated boolean, sees_all boolean, superuser boolean : whether the wall is there; whether row security
--             hides nothing from them; whether they could take rights on Postgres's own functions away

select
    pg_catalog.to_regclass('app.pins') is not null as migrated,
    rolsuper or rolbypassrls as sees_all,
    rolsuper as superuser
from pg_catalog.pg_roles
where rolname = current_user;
