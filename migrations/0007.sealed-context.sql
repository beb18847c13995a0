-- The context is sealed: who can run SQL as the service's role still cannot say who is asking.
--
-- Anybody may set app.tenant_id: an injected statement, too. So the service seals what it sets with a key that only it
-- and this database hold, and app.tenant_id() believes the setting only where app.seal fits it:
--
--   app.seal = <context>|<mac>
--   context  = <expires>|<backend>|<tenant>|<user>|<session>|<role>
--   mac      = HMAC-SHA256(key, context), 64 hexadecimal digits
--
--   expires   10 digits: seconds since 1970. A seal of the service lives for less than a minute.
--   backend   10 digits: pg_backend_pid() of the one connection that it is good on, so that what is read out of one is
--             of no use on another; 0 for any, which only the operator's psql gets.
--   tenant, user, session   a UUID each, all zeros for none
--
-- Every field but the last has a fixed width, so where each begins is not a matter of what another holds.
-- HMAC (RFC 2104) is sha256(outer pad || sha256(inner pad || context)), and sha256() is built in: no extension is needed.

set lock_timeout = '5s';
set statement_timeout = '1min';

create table app.seal_keys (
    key_id     text        not null,
    inner_pad  bytea       not null,
    outer_pad  bytea       not null,
    created_at timestamptz not null default clock_timestamp(),
    constraint seal_keys_pkey primary key (key_id),
    constraint seal_keys_key_id_is_hex check (key_id ~ '^[0-9a-f]{16}$'),
    constraint seal_keys_pads_are_blocks check (length(inner_pad) = 64 and length(outer_pad) = 64)
);
comment on table app.seal_keys is
    'The keys of the seal, as HMAC''s two pads; only the owner reads it. Two at most: the newest, and the one before';
comment on column app.seal_keys.key_id is 'The first 16 digits of the key''s SHA-256: tells keys apart, and nothing else';

-- No policy lets anybody in, whatever is granted one day; the owner, who has BYPASSRLS, does not ask.
alter table app.seal_keys enable row level security, force row level security;
revoke all on app.seal_keys from public;

create function app.refuse(reason text) returns text
language plpgsql stable
set search_path = ''
as $$
begin
    raise insufficient_privilege using
        message = reason,
        hint = 'The service enters a tenant for each statement; in psql, use `daymark psql TENANT`.';
end
$$;
comment on function app.refuse(text) is 'Raise 42501: the end of every statement whose context does not hold';

-- SECURITY DEFINER to read the keys. STABLE: a plan that was kept for one tenant must not hold this for another. Not
-- safe in a parallel worker, which is another backend. One SQL expression whose names are bound now, and not a step a
-- line in plpgsql, which prepares each anew in every transaction: that took twice as long.
-- The cases are looked at in order: nothing is believed, or even parsed, before the seal has been found to fit.
create function app.verified_context() returns text
language sql stable security definer parallel restricted
set search_path = pg_catalog, pg_temp
begin atomic
    select
        case
            when given.tenant is null or given.tenant = '' then app.refuse('no tenant in context')
            when key.key_id is null or given.tenant <> substr(given.seal, 23, 36)
                then app.refuse('the context is not sealed')
            -- The clock's time, not the transaction's start: a transaction can be kept open.
            when to_timestamp(left(given.seal, 10)::double precision) <= clock_timestamp()
                then app.refuse('the context has expired')
            when substr(given.seal, 12, 10) not in ('0000000000', lpad(pg_backend_pid()::text, 10, '0'))
                then app.refuse('the context is of another connection')
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
comment on function app.verified_context() is 'The context that this statement runs in, without its mac; raises 42501';

-- No SET clause on these three: without one the planner puts their bodies in place of the calls, and `return` binds
-- every name now.
create or replace function app.tenant_id() returns uuid
language sql stable parallel restricted
return substr(app.verified_context(), 23, 36)::uuid;

create or replace function app.user_id() returns uuid
language sql stable parallel restricted
return nullif(substr(app.verified_context(), 60, 36), '00000000-0000-0000-0000-000000000000')::uuid;

create or replace function app.role() returns text
language sql stable parallel restricted
return substr(app.verified_context(), 134);

create function app.session_id() returns uuid
language sql stable parallel restricted
return nullif(substr(app.verified_context(), 97, 36), '00000000-0000-0000-0000-000000000000')::uuid;
comment on function app.session_id() is 'The session that the caller''s token belongs to, or NULL';

-- squawk-ignore ban-drop-function -- its only client is the service, which is deployed with this
drop function app.enter(uuid, uuid, text);

-- Only the seal says who the person is; their id is handed back for the query's own predicate, as road, not as wall.
create function app.enter(for_tenant uuid, for_user uuid, seal text)
returns table (tenant_id uuid, user_id uuid)
language plpgsql volatile rows 1
as $$
begin
    perform pg_catalog.set_config('app.tenant_id', for_tenant::text, true), pg_catalog.set_config('app.seal', seal, true);
    tenant_id := for_tenant;
    user_id := for_user;
    return next;
end
$$;
comment on function app.enter(uuid, uuid, text) is 'Enter a tenant for the length of one statement, or of a transaction';

grant execute on function
    app.refuse(text), app.verified_context(), app.session_id(), app.enter(uuid, uuid, text)
to daymark_service;
