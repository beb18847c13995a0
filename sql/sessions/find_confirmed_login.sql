-- Find whether the caller still has the password and the role that a login was found by, and hold it so until the
-- transaction ends.
--
-- password_hash  text
-- role           text
-- returns        confirmed boolean

select app.confirm_login(:'password_hash', :'role') as confirmed;
