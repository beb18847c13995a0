-- Delete the pin of a login. For the administrator.
--
-- login       text  the role's name
-- returns     login name : no row where it had none

delete from app.pins
where login = :'login'::text::name
returning login;
