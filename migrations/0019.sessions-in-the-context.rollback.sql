set lock_timeout = '5s';
set statement_timeout = '1min';

drop function app.delete_old_sessions(timestamptz);
drop function app.confirm_login(text, text);
drop function app.find_login(text, text);

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

drop function app.refuse_session();
drop function app.session_lasts(uuid, uuid, uuid);
