set lock_timeout = '5s';
set statement_timeout = '1min';

drop function app.enter(uuid, uuid, text);
drop function app.session_id();

create or replace function app.role() returns text
language sql stable parallel safe
set search_path = ''
as $$
    select coalesce(nullif(pg_catalog.current_setting('app.role', true), ''), 'member')
$$;

create or replace function app.user_id() returns uuid
language sql stable parallel safe
set search_path = ''
as $$
    select nullif(pg_catalog.current_setting('app.user_id', true), '')::uuid
$$;

create or replace function app.tenant_id() returns uuid
language plpgsql stable parallel safe
set search_path = ''
as $$
declare
    tenant text := pg_catalog.current_setting('app.tenant_id', true);
begin
    if tenant is null or tenant = '' then
        raise insufficient_privilege using
            message = 'no tenant in context',
            hint = 'Every statement needs a tenant: SET LOCAL app.tenant_id inside a transaction, or call app.enter().';
    end if;
    return tenant::uuid;
exception
    when invalid_text_representation then
        raise insufficient_privilege using message = 'no tenant in context', hint = 'app.tenant_id is not a UUID.';
end
$$;

drop function app.verified_context();
drop function app.refuse(text);
drop table app.seal_keys;

create function app.enter(for_tenant uuid, for_user uuid, as_role text)
returns table (tenant_id uuid, user_id uuid)
language plpgsql volatile
as $$
begin
    perform pg_catalog.set_config('app.tenant_id', for_tenant::text, true);
    perform pg_catalog.set_config('app.user_id', for_user::text, true);
    perform pg_catalog.set_config('app.role', as_role, true);
    tenant_id := for_tenant;
    user_id := for_user;
    return next;
end
$$;
comment on function app.enter(uuid, uuid, text) is 'Enter a tenant for the length of one statement';
alter function app.enter(uuid, uuid, text) rows 1;
grant execute on function app.enter(uuid, uuid, text) to daymark_service;
