-- Logging out clears what was kept for the person: it stays as a record, and is not given out again. Nor is what was in
-- the making when they did.

set lock_timeout = '5s';
set statement_timeout = '1min';

alter table app.user_recommendations add column cleared_at timestamptz;
comment on column app.user_recommendations.cleared_at is 'The person logged out: from then on the cache does not have it';
grant insert (cleared_at), update (cleared_at) on app.user_recommendations to daymark_service;

alter table app.users add column cleared_at timestamptz;
comment on column app.users.cleared_at is 'When they last logged out: what was asked for by then is not given out any more';

-- Whatever changes what a person has (sessions, a password, what is kept for them) holds their row first: so no two of
-- these cross, and none waits for another that waits for it. The service has no right to lock a row of app.users, which
-- would be one to change it.
create function app.lock_person() returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform from app.users
    where tenant_id = app.tenant_id()
      and user_id = app.user_id()
    for no key update;
    return found;
end
$$;
comment on function app.lock_person() is 'Hold the caller''s own row until the transaction ends; whether there is one';

create function app.clear_person(since timestamptz) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    update app.users
    set cleared_at = greatest(cleared_at, since)
    where tenant_id = app.tenant_id()
      and user_id = app.user_id();
    return found;
end
$$;
comment on function app.clear_person(timestamptz) is
    'Note that the caller logged out, and hold their row until the transaction ends; whether there is one';

grant execute on function app.lock_person(), app.clear_person(timestamptz) to daymark_service;
