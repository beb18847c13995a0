-- People in psql: a login of one's own that is pinned to one tenant.
--
-- For the service the context says which tenant; for an analyst the login itself does: session_user, which neither SET
-- nor SET ROLE nor PGOPTIONS can change, is looked up in app.pins, and whatever the settings say is not even read.

set lock_timeout = '5s';
set statement_timeout = '1min';

do $$
begin
    if not exists (select from pg_catalog.pg_roles where rolname = 'daymark_analyst') then
        create role daymark_analyst nologin nosuperuser nocreatedb nocreaterole noreplication nobypassrls;
        comment on role daymark_analyst is 'Daymark: the group of the logins that `daymark analyst add` makes';
    end if;
exception
    when duplicate_object or unique_violation then null; -- another database of this cluster made it just now
end
$$;

do $$
begin
    execute pg_catalog.format('grant connect on database %I to daymark_analyst', pg_catalog.current_database());
end
$$;
grant usage on schema app to daymark_analyst;

create table app.pins (
    login      name        not null,
    tenant     uuid        not null,
    created_at timestamptz not null default now(),
    constraint pins_pkey primary key (login),
    constraint pins_tenant_fkey foreign key (tenant) references app.tenants (tenant_id) on delete cascade
);
comment on table app.pins is 'Which tenant a login of psql is pinned to; only the owner reads it';
alter table app.pins enable row level security, force row level security;
revoke all on app.pins from public;

-- A function of its own, which the service never comes to call: as part of the query below it would be made ready
-- for each statement of the service, too.
create function app.pinned_context() returns text
language sql stable security definer parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
    select
        '9999999999|0000000000|' || pin.tenant
        || '|00000000-0000-0000-0000-000000000000|00000000-0000-0000-0000-000000000000|analyst'
    from app.pins as pin
    where pin.login = session_user;
end;
comment on function app.pinned_context() is 'The context of an analyst, by their login alone; NULL for all others';

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

grant execute on function
    app.refuse(text), app.verified_context(), app.tenant_id(), app.user_id(), app.role(), app.session_id()
to daymark_analyst;

-- As before, and a policy for analysts: they read all of their tenant's rows.
--
-- "(tenant_id, true) = (select app.tenant_id(), true)" and not "tenant_id = (select app.tenant_id())": the planner lets a
-- condition of the asker's own go first where it is leakproof and cheaper (`email = any('{...}')` is held to cost half
-- an `=`). The tenant was then worked out only once a row of anybody's had met it, and EXPLAIN ANALYZE ("never
-- executed"), or the refusal where there is no context, read other tenants' rows out value by value. The second column
-- is a condition that costs nothing and names no column, so it stands before all others and has the tenant worked out
-- before, and whether or not, any row is looked at.
-- Likewise an admin's tenant and role are taken at one moment: between two, a statement can change its context.
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

grant select on app.tenants, app.users, app.pattern_data, app.user_recommendations to daymark_analyst;

-- A view runs with the rights of whoever asks (security_invoker), so the policies under it hold; and no function of the
-- asker's sees a row before the view's own conditions have let it through (security_barrier).

create view app.daily_averages with (security_invoker, security_barrier) as
select
    tenant_id,
    date,
    count(*) as people,
    round(avg(energy), 1) as energy,
    round(avg(focus), 1) as focus,
    round(avg(fulfillment), 1) as fulfillment
from app.pattern_data
group by tenant_id, date;
comment on view app.daily_averages is 'Each day''s average scores, over the people who recorded it';

create view app.engine_use with (security_invoker, security_barrier) as
select
    tenant_id,
    (generated_at at time zone 'UTC')::date as date,
    engine,
    count(distinct (user_id, generated_at)) as batches,
    count(*) as recommendations,
    count(viewed_at) as viewed
from app.user_recommendations
group by tenant_id, (generated_at at time zone 'UTC')::date, engine;
comment on view app.engine_use is 'What each engine made each day (UTC), and how much of it was seen';

create view app.cache_hits with (security_invoker, security_barrier) as
with newest as (
    select
        tenant_id,
        user_id,
        max(generated_at) as generated_at
    from app.user_recommendations
    group by tenant_id, user_id
)

select
    tenant_id,
    count(*) as people,
    count(*) filter (where generated_at > now() - interval '1 hour') as hits
from newest
group by tenant_id;
comment on view app.cache_hits is
    'Of the people who ever got recommendations, how many would get the kept ones if they asked now (by the default hour)';

grant select on app.daily_averages, app.engine_use, app.cache_hits to daymark_analyst, daymark_service;
