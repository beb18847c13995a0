-- A table's policies check the context once for each statement that reads it, where they checked it twice: a fifth of
-- what a cached read took in Postgres.
--
-- What may be read depends on the role: a member's own rows, or for an admin and an analyst the whole tenant's. As two
-- policies with an OR between them, each would check the context anew. Here both sides of one comparison say whose rows
-- are meant: with nobody's id, which no row has, for "everybody's". The right side, app.reach(), is what the sealed
-- context allows. The left side is what the row offers: its person's id where the settings ask for one's own rows, and
-- nobody's id otherwise. The left is not verified, and need not be: whoever asks for everybody's rows, and may see their
-- own only, compares nobody's id with their own, and sees nothing.
--
-- That comparison is spelled twice, as the RESTRICTIVE floor and as the PERMISSIVE policy on it. Either alone would hold.
-- It is worked out once: Postgres leaves out a condition that is the same, word for word, as one that it has already
-- (add_security_quals in its rowsecurity.c). A second comparison with the tenant that was not the same would be worse
-- than slow: the planner would compare the two tenants before the statement has entered either.

set lock_timeout = '5s';
set statement_timeout = '1min';

-- STRICT, so that with no reason there is no call: one call in the check below does for many reasons, and each that
-- stands there costs every statement a little, called or not.
create or replace function app.refuse(reason text) returns text
language plpgsql stable strict
set search_path = ''
as $$
begin
    raise insufficient_privilege using
        message = reason,
        hint = 'The service enters a tenant for each statement; in psql, use `daymark psql TENANT`.';
end
$$;

-- As before, in fewer steps: what a context is refused for is looked at once it has been found to be sealed, and what is
-- not sealed has no row here.
create or replace function app.verified_context() returns text
language sql stable security definer parallel restricted
set search_path = pg_catalog, pg_temp
begin atomic
    select coalesce(
        -- The service, which asks thousands of times a second, is no analyst and need not be looked up.
        case when session_user <> 'daymark_service' then app.pinned_context() end,
        (
            select
                coalesce(
                    app.refuse(
                        case
                            -- The clock's time, not the transaction's start: a transaction can be kept open.
                            when to_timestamp(left(given.seal, 10)::double precision) <= clock_timestamp()
                                then 'the context has expired'
                            when substr(given.seal, 12, 10)::bigint not in (0, pg_backend_pid())
                                then 'the context is of another connection'
                            when substr(given.seal, 97, 36) = '00000000-0000-0000-0000-000000000000' then null
                            when current_setting('transaction_isolation') <> 'read committed'
                                then 'a snapshot that is kept does not show whether the session lasts'
                            when app.session_lasts(
                                given.tenant::uuid, substr(given.seal, 60, 36)::uuid, substr(given.seal, 97, 36)::uuid
                            ) then null
                            else app.refuse_session()
                        end
                    ),
                    left(given.seal, -65)
                )
            from (
                select
                    current_setting('app.tenant_id', true) as tenant,
                    current_setting('app.seal', true) as seal
            ) as given
            join app.seal_keys as key
                on given.tenant = substr(given.seal, 23, 36)
               -- Both sides hashed once more: how long a comparison takes then says nothing of the mac that would fit.
               and sha256(convert_to(right(given.seal, 64), 'UTF8')) = sha256(convert_to(
                   encode(
                       sha256(key.outer_pad || sha256(key.inner_pad || convert_to(left(given.seal, -65), 'UTF8'))),
                       'hex'
                   ), 'UTF8'))
        ),
        app.refuse(
            case
                when coalesce(current_setting('app.tenant_id', true), '') = '' then 'no tenant in context'
                else 'the context is not sealed'
            end
        )
    );
end;

create function app.reach() returns table (tenant_id uuid, user_id uuid)
language sql stable parallel restricted rows 1
begin atomic
    select
        substr(verified.context, 23, 36)::uuid,
        case
            -- An admin, or an analyst, whose context alone never expires.
            when substr(verified.context, 134) = 'admin' or left(verified.context, 10) = '9999999999'
                then '00000000-0000-0000-0000-000000000000'
            else nullif(substr(verified.context, 60, 36), '00000000-0000-0000-0000-000000000000')::uuid
        end
    -- Verified once, and not once for each of its parts.
    from (select app.verified_context() as context offset 0) as verified;
end;
comment on function app.reach() is
    'Whose rows the verified context may read: one person''s, or everybody''s (all zeros) of its tenant; NULL: nobody''s';

-- Text, so that it has to be compared: that makes the condition on the person dearer to the planner than the one on the
-- tenant, and so the later of the two. Were it the first, what another tenant's rows hold would decide whether this is
-- "never executed".
create function app.claimed_reach() returns text
language sql stable parallel restricted
begin atomic
    select
        case
            -- An analyst has no seal, whatever they set.
            when session_user <> 'daymark_service' and app.pinned_context() is not null then 'tenant'
            when substr(current_setting('app.seal', true), 134, 6) = 'admin|' then 'tenant'
            else 'own'
        end;
end;
comment on function app.claimed_reach() is
    'Whose rows the settings ask for, own or the tenant''s; not verified, and of no use but to be held against app.reach()';

-- It looks session_user up: one's own pin, and nobody else's.
grant execute on function app.pinned_context() to daymark_analyst, daymark_service;
grant execute on function app.reach(), app.claimed_reach() to daymark_analyst, daymark_service;

-- As before but for the policies.
create or replace procedure app.isolate(target regclass)
language plpgsql
set search_path = ''
as $$
declare
    misled text;
    has_user boolean;
    within_tenant constant text := '(tenant_id, true) = (select app.tenant_id(), true)';
    within_reach text;
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

    has_user := exists (
        select from pg_catalog.pg_attribute where attrelid = target and attname = 'user_id' and not attisdropped
    );
    if has_user then
        within_reach := pg_catalog.format(
            '(tenant_id, case when (select app.claimed_reach()) = ''own'' then user_id else %L end, true)'
            ' = (select reach.tenant_id, reach.user_id, true from app.reach() as reach)',
            '00000000-0000-0000-0000-000000000000');
    else
        within_reach := within_tenant;
    end if;
    -- The same for rows that are read and rows that are written: an upsert looks at both, and at what is the same once.
    execute pg_catalog.format(
        'create policy tenant_floor on %s as restrictive for all to public using (%s) with check (%s)',
        target, within_reach, within_reach);
    if has_user then
        execute pg_catalog.format(
            'create policy readable_rows on %s for select to daymark_service using (%s)', target, within_reach);
        execute pg_catalog.format(
            'create policy own_inserts on %s for insert to daymark_service'
            ' with check (user_id = (select app.user_id()))', target);
        -- With "true" beside it, as everywhere: a join of the asker's own can have the planner hold a row against this
        -- before it holds it against the tenant.
        execute pg_catalog.format(
            'create policy own_updates on %s for update to daymark_service'
            ' using ((user_id, true) = (select app.user_id(), true)) with check (user_id = (select app.user_id()))',
            target);
    else
        execute pg_catalog.format(
            'create policy tenant_rows on %s for all to daymark_service using (%s) with check (%s)',
            target, within_tenant, within_tenant);
    end if;
    execute pg_catalog.format(
        'create policy analyst_rows on %s for select to daymark_analyst using (%s)', target, within_reach);

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
