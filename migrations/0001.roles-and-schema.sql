-- The roles, the schema, and the rights that nobody gets by default.
--
-- Roles belong to the whole cluster, so they may already be there: another database of the same cluster, or an
-- operator who made them by hand, came first. They are created without a password: giving one is the operator's job.

set lock_timeout = '5s';
set statement_timeout = '1min';

do $$
begin
    if not exists (select from pg_catalog.pg_roles where rolname = 'daymark_service') then
        create role daymark_service login nosuperuser nocreatedb nocreaterole noinherit noreplication nobypassrls;
        comment on role daymark_service is 'Daymark: the role the service logs in as; owns nothing';
    end if;
exception
    -- Two databases of one cluster migrated at the same moment: the other one made it, which is all that we want.
    when duplicate_object or unique_violation then null;
end
$$;

create schema app;
comment on schema app is 'Daymark: every table here is isolated by tenant (see app.isolate)';

-- A temp table, function or operator of one's own is how a name gets shadowed or a row leaks through a planner's
-- estimate, so nobody but the owner makes any.
do $$
begin
    execute pg_catalog.format('revoke all on database %I from public', pg_catalog.current_database());
    execute pg_catalog.format('grant connect on database %I to daymark_service', pg_catalog.current_database());
end
$$;

revoke all on schema public from public;
grant usage on schema app to daymark_service;

-- A new function is executable by everybody unless this says otherwise; it is said for the whole role, since
-- Postgres lets a schema add to the global default but not take from it.
alter default privileges revoke execute on functions from public;
alter default privileges in schema app revoke all on tables from public;
