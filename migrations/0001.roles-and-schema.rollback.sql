set lock_timeout = '5s';
set statement_timeout = '1min';

alter default privileges grant execute on functions to public;

drop schema app;

grant usage on schema public to public;

do $$
begin
    execute pg_catalog.format('revoke all on database %I from daymark_service', pg_catalog.current_database());
    execute pg_catalog.format('grant connect, temporary on database %I to public', pg_catalog.current_database());
end
$$;

do $$
begin
    drop role daymark_service;
exception
    -- Another database of this cluster still lets the role in, or the role is not ours: it stays.
    when dependent_objects_still_exist or insufficient_privilege then null;
end
$$;
