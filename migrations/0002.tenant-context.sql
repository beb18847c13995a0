-- Who is asking: three settings that live for one statement or one transaction, and the functions that read them.
--
-- app.tenant_id, app.user_id and app.role are set by app.enter() (a read) or by SET LOCAL (a transaction). Once a
-- transaction that set them has ended, a connection holds '' in them, not NULL: both mean "nobody".

set lock_timeout = '5s';
set statement_timeout = '1min';

create function app.tenant_id() returns uuid
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
comment on function app.tenant_id() is 'The tenant this statement runs for; raises 42501 where there is none';

create function app.user_id() returns uuid
language sql stable parallel safe
set search_path = ''
as $$
    select nullif(pg_catalog.current_setting('app.user_id', true), '')::uuid
$$;
comment on function app.user_id() is 'The person this statement runs for, or NULL: then no row is anybody''s own';

create function app.role() returns text
language sql stable parallel safe
set search_path = ''
as $$
    select coalesce(nullif(pg_catalog.current_setting('app.role', true), ''), 'member')
$$;
comment on function app.role() is 'What the caller may see in their tenant: member (their own rows) or admin (all of them)';

-- Lets a tenant in for the statement that calls it, and hands the tenant and the person back as columns, so that the
-- statement's own query can only run after it (a lateral reference to them forces the order). That makes a read one
-- round trip: no BEGIN, no SET, no COMMIT.
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
-- The planner takes a set-returning function for a thousand rows unless told.
alter function app.enter(uuid, uuid, text) rows 1;

grant execute on function app.tenant_id(), app.user_id(), app.role(), app.enter(uuid, uuid, text) to daymark_service;
