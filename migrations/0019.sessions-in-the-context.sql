-- A context names the session that its token belongs to: once that has ended, nothing is done in its name any more, in
-- whatever process and on whatever connection, from the next statement on. The way in, which has no tenant yet.

set lock_timeout = '5s';
set statement_timeout = '1min';

-- Like app.pinned_context, a function of its own: a context without a session never comes to call it.
create function app.session_lasts(of_tenant uuid, of_user uuid, session uuid) returns boolean
language sql stable security definer parallel restricted
set search_path = pg_catalog, pg_temp
begin atomic
    select exists (
        select
        from app.sessions
        where tenant_id = of_tenant
          and session_id = session
          and user_id = of_user
          and ended_at is null
    );
end;
comment on function app.session_lasts(uuid, uuid, uuid) is 'Whether a session is there, this person''s, and has not ended';

create function app.refuse_session() returns text
language plpgsql stable
set search_path = ''
as $$
begin
    -- Not 42501, which says that somebody tampered: this is what a caller meets who logged out elsewhere.
    raise exception using errcode = 'DM001', message = 'the session has ended', hint = 'Log in again.';
end
$$;
comment on function app.refuse_session() is 'Raise DM001: the end of every statement whose session has ended';

create or replace function app.verified_context() returns text
language sql stable security definer parallel restricted
set search_path = pg_catalog, pg_temp
begin atomic
    select
        case
            -- The service, which asks thousands of times a second, is no analyst and need not be looked up.
            when session_user <> 'daymark_service' and app.pinned_context() is not null then app.pinned_context()
            when given.tenant is null or given.tenant = '' then app.refuse('no tenant in context')
            when key.key_id is null or given.tenant <> substr(given.seal, 23, 36)
                then app.refuse('the context is not sealed')
            -- The clock's time, not the transaction's start: a transaction can be kept open.
            when to_timestamp(left(given.seal, 10)::double precision) <= clock_timestamp()
                then app.refuse('the context has expired')
            when substr(given.seal, 12, 10) not in ('0000000000', lpad(pg_backend_pid()::text, 10, '0'))
                then app.refuse('the context is of another connection')
            -- Last, when all that it is asked with has been found to be sealed.
            when substr(given.seal, 97, 36) <> '00000000-0000-0000-0000-000000000000'
                 and current_setting('transaction_isolation') <> 'read committed'
                then app.refuse('a snapshot that is kept does not show whether the session lasts')
            when substr(given.seal, 97, 36) <> '00000000-0000-0000-0000-000000000000'
                 and not app.session_lasts(
                     given.tenant::uuid, substr(given.seal, 60, 36)::uuid, substr(given.seal, 97, 36)::uuid
                 )
                then app.refuse_session()
            else left(given.seal, -65)
        end
    from (
        select
            current_setting('app.tenant_id', true) as tenant,
            current_setting('app.seal', true) as seal
        offset 0
    ) as given
    -- Both sides hashed once more: how long a comparison takes then says nothing of the mac that would have fitted.
    left join app.seal_keys as key
        on sha256(convert_to(right(given.seal, 64), 'UTF8')) = sha256(convert_to(
            encode(
                sha256(key.outer_pad || sha256(key.inner_pad || convert_to(left(given.seal, -65), 'UTF8'))), 'hex'
            ), 'UTF8'));
end;

-- Whoever logs in has no tenant yet. The service then seals a context of tenant zero, which is nobody's; in any other,
-- that of an injected statement among them, this finds nothing, or one could ask it for another tenant's people.
create function app.find_login(tenant_name text, address text)
returns table (tenant_id uuid, email text, user_id uuid, role text, password_hash text)
language sql stable security definer parallel restricted rows 1
set search_path = pg_catalog, pg_temp
begin atomic
    select
        tenant.tenant_id,
        lower(address),
        person.user_id,
        person.role,
        held.password_hash
    from (
        -- Of the two, only one can find anything: a slug may not look like an id.
        select named.tenant_id
        from app.tenants as named
        where named.tenant_id = case
            when tenant_name ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then tenant_name::uuid
        end
        union all
        select named.tenant_id
        from app.tenants as named
        where lower(named.slug) = lower(tenant_name)
    ) as tenant
    left join app.users as person
        on person.tenant_id = tenant.tenant_id
       and lower(person.email) = lower(address)
    left join app.credentials as held
        on held.tenant_id = person.tenant_id
       and held.user_id = person.user_id
    where app.tenant_id() = '00000000-0000-0000-0000-000000000000';
end;
comment on function app.find_login(text, text) is
    'Find whoever logs in, by their tenant''s slug or id; the person is NULL where nobody has that address';

-- A password takes a tenth of a second to check. Whether what was found before still holds is asked when the session
-- begins, and holds until it has: a new password or role then finds that session, and ends it.
create function app.confirm_login(password_hash text, role text) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform from app.users as person
    where person.tenant_id = app.tenant_id()
      and person.user_id = app.user_id()
      and person.role = confirm_login.role
    for no key update;
    return found and exists (
        select
        from app.credentials as held
        where held.tenant_id = app.tenant_id()
          and held.user_id = app.user_id()
          and held.password_hash = confirm_login.password_hash
    );
end
$$;
comment on function app.confirm_login(text, text) is
    'Whether the caller still has this password and role; holds their row until the transaction ends';

grant execute on function app.find_login(text, text), app.confirm_login(text, text) to daymark_service;

-- What can be of no use any more: the caller's own, and nobody else's. As with app.delete_pattern, a function, since the
-- right to DELETE is the right to LOCK the table for all.
create function app.delete_old_sessions(before timestamptz) returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    deleted bigint;
begin
    delete from app.refresh_tokens
    where tenant_id = app.tenant_id()
      and session_id in (
          select session_id
          from app.sessions
          where tenant_id = app.tenant_id()
            and user_id = app.user_id()
      )
      and used_at < before;
    delete from app.sessions
    where tenant_id = app.tenant_id()
      and user_id = app.user_id()
      and (expires_at < before or ended_at < before);
    get diagnostics deleted = row_count;
    return deleted;
end
$$;
comment on function app.delete_old_sessions(timestamptz) is
    'Delete the caller''s own sessions that were over by then, and refresh tokens that were used by then';
grant execute on function app.delete_old_sessions(timestamptz) to daymark_service;
