set lock_timeout = '5s';
set statement_timeout = '1min';

create or replace procedure app.isolate(target regclass)
language plpgsql
set search_path = ''
as $$
declare
    misled text;
    has_user boolean;
    found record;
begin
    if not exists (
        select
        from pg_catalog.pg_attribute
        where attrelid = target
          and attname = 'tenant_id'
          and atttypid = 'pg_catalog.uuid'::pg_catalog.regtype
          and attnotnull
    ) then
        raise invalid_table_definition using
            message = pg_catalog.format('%s needs a column "tenant_id uuid not null"', target);
    end if;

    select pg_catalog.string_agg(conname, ', ' order by conname)
    into misled
    from pg_catalog.pg_constraint
    where conrelid = target
      and contype in ('p', 'u', 'f', 'x')
      and (
          conkey[1] <> (
              select attnum from pg_catalog.pg_attribute where attrelid = target and attname = 'tenant_id'
          )
          -- What a foreign key refers to is led by the tenant as well, or it would tie two tenants' rows together.
          or confkey[1] <> (
              select attnum from pg_catalog.pg_attribute where attrelid = confrelid and attname = 'tenant_id'
          )
      );
    if misled is not null then
        raise invalid_table_definition using
            message = pg_catalog.format('%s has keys that tenant_id does not lead: %s', target, misled);
    end if;

    select pg_catalog.string_agg(indexrelid::pg_catalog.regclass::text, ', ' order by indexrelid)
    into misled
    from pg_catalog.pg_index
    where indrelid = target
      and indkey[0] <> (
          select attnum from pg_catalog.pg_attribute where attrelid = target and attname = 'tenant_id'
      )
      -- A table of one row a tenant may have what is unique among tenants (a slug), if only as an expression: under
      -- row security a condition on a function that is not leakproof is never looked up in an index.
      and not (
          indkey[0] = 0
          and exists (
              select
              from pg_catalog.pg_constraint
              where conrelid = target
                and contype = 'p'
                and conkey = array(
                    select attnum from pg_catalog.pg_attribute where attrelid = target and attname = 'tenant_id'
                )
          )
          and exists (
              select
              from pg_catalog.regexp_matches(indexprs::text, ':funcid (\d+)', 'g') as used
              join pg_catalog.pg_proc as called
                  on called.oid = used[1]::pg_catalog.oid
              where not called.proleakproof
          )
      );
    if misled is not null then
        raise invalid_table_definition using
            message = pg_catalog.format('%s has indexes that tenant_id does not lead: %s', target, misled);
    end if;

    execute pg_catalog.format('alter table %s enable row level security, force row level security', target);
    execute pg_catalog.format('revoke all on table %s from public', target);

    for found in select polname from pg_catalog.pg_policy where polrelid = target loop
        execute pg_catalog.format('drop policy %I on %s', found.polname, target);
    end loop;

    execute pg_catalog.format(
        'create policy tenant_floor on %s as restrictive for all to public'
        ' using ((tenant_id, true) = (select app.tenant_id(), true))'
        ' with check ((tenant_id, true) = (select app.tenant_id(), true))', target);

    has_user := exists (
        select from pg_catalog.pg_attribute where attrelid = target and attname = 'user_id' and not attisdropped
    );
    if has_user then
        execute pg_catalog.format(
            'create policy own_rows on %s for all to daymark_service'
            ' using (user_id = (select app.user_id())) with check (user_id = (select app.user_id()))', target);
        execute pg_catalog.format(
            'create policy admin_rows on %s for select to daymark_service'
            ' using ((tenant_id, ''admin'') = (select app.tenant_id(), app.role()))', target);
    else
        execute pg_catalog.format(
            'create policy tenant_rows on %s for all to daymark_service'
            ' using ((tenant_id, true) = (select app.tenant_id(), true))'
            ' with check ((tenant_id, true) = (select app.tenant_id(), true))', target);
    end if;
    execute pg_catalog.format(
        'create policy analyst_rows on %s for select to daymark_analyst'
        ' using ((tenant_id, true) = (select app.tenant_id(), true))', target);

    for found in
        select attname
        from pg_catalog.pg_attribute
        where attrelid = target
          and attnum > 0
          and not attisdropped
          and atttypid in ('pg_catalog.text'::pg_catalog.regtype, 'pg_catalog.jsonb'::pg_catalog.regtype)
    loop
        execute pg_catalog.format('alter table %s alter column %I set statistics 0', target, found.attname);
    end loop;
end
$$;

do $$
declare
    isolated regclass;
begin
    for isolated in
        select polrelid::pg_catalog.regclass from pg_catalog.pg_policy where polname = 'tenant_floor'
    loop
        call app.isolate(isolated);
    end loop;
end
$$;

drop function app.claimed_reach();
drop function app.reach();
revoke execute on function app.pinned_context() from daymark_analyst, daymark_service;

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

create or replace function app.refuse(reason text) returns text
language plpgsql stable
set search_path = ''
as $$
begin
    raise insufficient_privilege using
        message = reason,
        hint = 'The service enters a tenant for each statement; in psql, use `daymark psql TENANT`.';
end
$$;
