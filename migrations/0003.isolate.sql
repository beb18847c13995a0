-- app.isolate(table): the only way a table gets its policies.
--
-- What it does to a table that has tenant_id:
--   1. refuses it unless tenant_id is a uuid, not null, and leads every key, foreign key and index. Foreign-key and
--      unique checks ignore row security, so a key without the tenant lets one tenant refer to another's row or probe
--      for it; an index without it lets EXPLAIN ANALYZE count another's rows.
--   2. turns row security on and FORCEs it, so that the table's owner is bound as well;
--   3. spells the policies: a RESTRICTIVE floor (the tenant's rows and no others, whatever else is granted), then
--      PERMISSIVE ones for the rows of one's own and, to read, for the tenant's admins;
--   4. keeps no statistics of text and jsonb, whose most common values would reach everybody through row estimates.
--
-- "(select app.tenant_id())" and not the bare call: so it is worked out once a statement, not once a row.
-- Called again, it puts the same policies back: a hand-made one in between does not survive.

set lock_timeout = '5s';
set statement_timeout = '1min';

create procedure app.isolate(target regclass)
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
      and conkey[1] <> (
          select attnum from pg_catalog.pg_attribute where attrelid = target and attname = 'tenant_id'
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
        ' using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()))', target);

    has_user := exists (
        select from pg_catalog.pg_attribute where attrelid = target and attname = 'user_id' and not attisdropped
    );
    if has_user then
        execute pg_catalog.format(
            'create policy own_rows on %s for all to daymark_service'
            ' using (user_id = (select app.user_id())) with check (user_id = (select app.user_id()))', target);
        execute pg_catalog.format(
            'create policy admin_rows on %s for select to daymark_service'
            ' using ((select app.role()) = ''admin'')', target);
    else
        execute pg_catalog.format(
            'create policy tenant_rows on %s for all to daymark_service'
            ' using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()))', target);
    end if;

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
comment on procedure app.isolate(regclass) is 'Put a table behind the tenant wall: the only way a table gets its policies';
