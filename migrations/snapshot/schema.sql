CREATE SCHEMA app;
COMMENT ON SCHEMA app IS 'Daymark: every table here is isolated by tenant (see app.isolate)';
CREATE PROCEDURE app.add_partitions(IN first_day date, IN last_day date)
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    month date;
    partition text;
begin
    for month in
        select generated::date
        from pg_catalog.generate_series(
            pg_catalog.date_trunc('month', first_day::timestamp),
            pg_catalog.date_trunc('month', last_day::timestamp),
            interval '1 month'
        ) as generated
    loop
        partition := 'pattern_data_' || pg_catalog.to_char(month, 'YYYY_MM');
        continue when pg_catalog.to_regclass('app.' || partition) is not null;
        -- Nobody may put a day of this month into the default partition between the move and the attachment. Attaching
        -- locks users as well (the foreign key's triggers): first, as whoever stores a day writes there first.
        lock table app.users in share row exclusive mode;
        lock table app.pattern_data_default in access exclusive mode;
        -- Somebody else may have made it while we waited.
        continue when pg_catalog.to_regclass('app.' || partition) is not null;
        execute pg_catalog.format('create table app.%I (like app.pattern_data including all)', partition);
        execute pg_catalog.format(
            'with moved as (delete from app.pattern_data_default where date >= %L and date < %L returning *)'
            ' insert into app.%I select moved.* from moved',
            month, month + interval '1 month', partition);
        execute pg_catalog.format(
            'alter table app.pattern_data attach partition app.%I for values from (%L) to (%L)',
            partition, month, (month + interval '1 month')::date);
        execute pg_catalog.format('call app.isolate(%L)', 'app.' || partition);
    end loop;
end
$$;
COMMENT ON PROCEDURE app.add_partitions(IN first_day date, IN last_day date) IS 'Make the missing months of app.pattern_data; `daymark migrate up` calls it';
CREATE TABLE app.pins (
    login name NOT NULL,
    tenant uuid NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE ONLY app.pins FORCE ROW LEVEL SECURITY;
COMMENT ON TABLE app.pins IS 'Which tenant a login of psql is pinned to; only the owner reads it';
CREATE FUNCTION app.pinned_context() RETURNS text
    LANGUAGE sql STABLE SECURITY DEFINER PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    BEGIN ATOMIC
 SELECT (('9999999999|0000000000|'::text || pin.tenant) || '|00000000-0000-0000-0000-000000000000|00000000-0000-0000-0000-000000000000|analyst'::text)
    FROM app.pins pin
   WHERE (pin.login = SESSION_USER);
END;
COMMENT ON FUNCTION app.pinned_context() IS 'The context of an analyst, by their login alone; NULL for all others';
CREATE FUNCTION app.claimed_reach() RETURNS text
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    BEGIN ATOMIC
 SELECT
         CASE
             WHEN ((SESSION_USER <> 'daymark_service'::name) AND (app.pinned_context() IS NOT NULL)) THEN 'tenant'::text
             WHEN (substr(current_setting('app.seal'::text, true), 134, 6) = 'admin|'::text) THEN 'tenant'::text
             ELSE 'own'::text
         END AS "case";
END;
COMMENT ON FUNCTION app.claimed_reach() IS 'Whose rows the settings ask for, own or the tenant''s; not verified, and of no use but to be held against app.reach()';
CREATE FUNCTION app.clear_person(since timestamp with time zone) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    update app.users
    set cleared_at = greatest(cleared_at, since)
    where tenant_id = app.tenant_id()
      and user_id = app.user_id();
    return found;
end
$$;
COMMENT ON FUNCTION app.clear_person(since timestamp with time zone) IS 'Note that the caller logged out, and hold their row until the transaction ends; whether there is one';
CREATE FUNCTION app.confirm_login(password_hash text, role text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
COMMENT ON FUNCTION app.confirm_login(password_hash text, role text) IS 'Whether the caller still has this password and role; holds their row until the transaction ends';
CREATE FUNCTION app.delete_old_sessions(before timestamp with time zone) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
COMMENT ON FUNCTION app.delete_old_sessions(before timestamp with time zone) IS 'Delete the caller''s own sessions that were over by then, and refresh tokens that were used by then';
CREATE FUNCTION app.delete_pattern(day date) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    delete from app.pattern_data
    where tenant_id = app.tenant_id()
      and user_id = app.user_id()
      and date = day;
    return found;
end
$$;
COMMENT ON FUNCTION app.delete_pattern(day date) IS 'Delete one of the caller''s own days; whether it was there';
CREATE FUNCTION app.enter(for_tenant uuid, for_user uuid, seal text) RETURNS TABLE(tenant_id uuid, user_id uuid)
    LANGUAGE plpgsql ROWS 1
    AS $$
begin
    perform pg_catalog.set_config('app.tenant_id', for_tenant::text, true), pg_catalog.set_config('app.seal', seal, true);
    tenant_id := for_tenant;
    user_id := for_user;
    return next;
end
$$;
COMMENT ON FUNCTION app.enter(for_tenant uuid, for_user uuid, seal text) IS 'Enter a tenant for the length of one statement, or of a transaction';
CREATE FUNCTION app.refuse(reason text) RETURNS text
    LANGUAGE plpgsql STABLE STRICT
    SET search_path TO ''
    AS $$
begin
    raise insufficient_privilege using
        message = reason,
        hint = 'The service enters a tenant for each statement; in psql, use `daymark psql TENANT`.';
end
$$;
COMMENT ON FUNCTION app.refuse(reason text) IS 'Raise 42501: the end of every statement whose context does not hold';
CREATE FUNCTION app.refuse_session() RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
    -- Not 42501, which says that somebody tampered: this is what a caller meets who logged out elsewhere.
    raise exception using errcode = 'DM001', message = 'the session has ended', hint = 'Log in again.';
end
$$;
COMMENT ON FUNCTION app.refuse_session() IS 'Raise DM001: the end of every statement whose session has ended';
CREATE TABLE app.sessions (
    tenant_id uuid NOT NULL,
    session_id uuid NOT NULL,
    user_id uuid NOT NULL,
    created_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    ended_reason text,
    address text,
    agent text,
    CONSTRAINT sessions_address_length CHECK ((length(address) <= 45)),
    CONSTRAINT sessions_agent_length CHECK ((length(agent) <= 200)),
    CONSTRAINT sessions_ended_reason_known CHECK ((ended_reason = ANY (ARRAY['logged_out'::text, 'revoked'::text, 'reused'::text, 'password_changed'::text, 'role_changed'::text]))),
    CONSTRAINT sessions_ended_whole CHECK (((ended_at IS NULL) = (ended_reason IS NULL))),
    CONSTRAINT sessions_id_is_one CHECK ((session_id <> '00000000-0000-0000-0000-000000000000'::uuid))
);
ALTER TABLE ONLY app.sessions ALTER COLUMN ended_reason SET STATISTICS 0;
ALTER TABLE ONLY app.sessions ALTER COLUMN address SET STATISTICS 0;
ALTER TABLE ONLY app.sessions ALTER COLUMN agent SET STATISTICS 0;
ALTER TABLE ONLY app.sessions FORCE ROW LEVEL SECURITY;
COMMENT ON TABLE app.sessions IS 'Logins that last: each statement of a token that belongs to one asks whether it still does';
COMMENT ON COLUMN app.sessions.used_at IS 'When it was begun or last refreshed';
COMMENT ON COLUMN app.sessions.expires_at IS 'From then on it cannot be refreshed any more; each refresh moves it on';
COMMENT ON COLUMN app.sessions.ended_at IS 'From then on nothing is done in its name, whatever its tokens say';
COMMENT ON COLUMN app.sessions.agent IS 'The User-Agent that it was begun with: how a person tells their sessions apart';
CREATE FUNCTION app.session_lasts(of_tenant uuid, of_user uuid, session uuid) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER PARALLEL RESTRICTED
    SET search_path TO 'pg_catalog', 'pg_temp'
    BEGIN ATOMIC
 SELECT (EXISTS ( SELECT
            FROM app.sessions
           WHERE ((sessions.tenant_id = session_lasts.of_tenant) AND (sessions.session_id = session_lasts.session) AND (sessions.user_id = session_lasts.of_user) AND (sessions.ended_at IS NULL)))) AS "exists";
END;
COMMENT ON FUNCTION app.session_lasts(of_tenant uuid, of_user uuid, session uuid) IS 'Whether a session is there, this person''s, and has not ended';
CREATE TABLE app.seal_keys (
    key_id text NOT NULL,
    inner_pad bytea NOT NULL,
    outer_pad bytea NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT seal_keys_key_id_is_hex CHECK ((key_id ~ '^[0-9a-f]{16}$'::text)),
    CONSTRAINT seal_keys_pads_are_blocks CHECK (((length(inner_pad) = 64) AND (length(outer_pad) = 64)))
);
ALTER TABLE ONLY app.seal_keys FORCE ROW LEVEL SECURITY;
COMMENT ON TABLE app.seal_keys IS 'The keys of the seal, as HMAC''s two pads; only the owner reads it. Two at most: the newest, and the one before';
COMMENT ON COLUMN app.seal_keys.key_id IS 'The first 16 digits of the key''s SHA-256: tells keys apart, and nothing else';
CREATE FUNCTION app.verified_context() RETURNS text
    LANGUAGE sql STABLE SECURITY DEFINER PARALLEL RESTRICTED
    SET search_path TO 'pg_catalog', 'pg_temp'
    BEGIN ATOMIC
 SELECT COALESCE(
         CASE
             WHEN (SESSION_USER <> 'daymark_service'::name) THEN app.pinned_context()
             ELSE NULL::text
         END, ( SELECT COALESCE(app.refuse(
                 CASE
                     WHEN (to_timestamp(("left"(given.seal, 10))::double precision) <= clock_timestamp()) THEN 'the context has expired'::text
                     WHEN ((substr(given.seal, 12, 10))::bigint <> ALL (ARRAY[(0)::bigint, (pg_backend_pid())::bigint])) THEN 'the context is of another connection'::text
                     WHEN (substr(given.seal, 97, 36) = '00000000-0000-0000-0000-000000000000'::text) THEN NULL::text
                     WHEN (current_setting('transaction_isolation'::text) <> 'read committed'::text) THEN 'a snapshot that is kept does not show whether the session lasts'::text
                     WHEN app.session_lasts((given.tenant)::uuid, (substr(given.seal, 60, 36))::uuid, (substr(given.seal, 97, 36))::uuid) THEN NULL::text
                     ELSE app.refuse_session()
                 END), "left"(given.seal, '-65'::integer)) AS "coalesce"
            FROM (( SELECT current_setting('app.tenant_id'::text, true) AS tenant,
                     current_setting('app.seal'::text, true) AS seal) given
              JOIN app.seal_keys key ON (((given.tenant = substr(given.seal, 23, 36)) AND (sha256(convert_to("right"(given.seal, 64), 'UTF8'::name)) = sha256(convert_to(encode(sha256((key.outer_pad || sha256((key.inner_pad || convert_to("left"(given.seal, '-65'::integer), 'UTF8'::name))))), 'hex'::text), 'UTF8'::name))))))), app.refuse(
         CASE
             WHEN (COALESCE(current_setting('app.tenant_id'::text, true), ''::text) = ''::text) THEN 'no tenant in context'::text
             ELSE 'the context is not sealed'::text
         END)) AS "coalesce";
END;
COMMENT ON FUNCTION app.verified_context() IS 'The context that this statement runs in, without its mac; raises 42501';
CREATE FUNCTION app.tenant_id() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    RETURN (substr(app.verified_context(), 23, 36))::uuid;
COMMENT ON FUNCTION app.tenant_id() IS 'The tenant this statement runs for; raises 42501 where there is none';
CREATE TABLE app.credentials (
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    password_hash text NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    CONSTRAINT credentials_are_argon2id CHECK (((password_hash ~ '^\$argon2id\$'::text) AND (length(password_hash) <= 255)))
);
ALTER TABLE ONLY app.credentials ALTER COLUMN password_hash SET STATISTICS 0;
ALTER TABLE ONLY app.credentials FORCE ROW LEVEL SECURITY;
COMMENT ON TABLE app.credentials IS 'Passwords, as argon2id (RFC 9106). Granted to nobody: app.find_login gives one out, for one who logs in';
CREATE TABLE app.tenants (
    tenant_id uuid DEFAULT gen_random_uuid() NOT NULL,
    slug text NOT NULL,
    name text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    daily_calls bigint,
    daily_tokens bigint,
    CONSTRAINT tenants_budget_counted CHECK (((daily_calls >= 0) AND (daily_tokens >= 0))),
    CONSTRAINT tenants_name_length CHECK (((length(name) >= 1) AND (length(name) <= 200))),
    CONSTRAINT tenants_slug_is_a_label CHECK ((slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'::text)),
    CONSTRAINT tenants_slug_is_no_id CHECK ((slug !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'::text))
);
ALTER TABLE ONLY app.tenants ALTER COLUMN slug SET STATISTICS 0;
ALTER TABLE ONLY app.tenants ALTER COLUMN name SET STATISTICS 0;
ALTER TABLE ONLY app.tenants FORCE ROW LEVEL SECURITY;
COMMENT ON COLUMN app.tenants.daily_calls IS 'Calls of AI a day; NULL: as many as the service''s settings say';
COMMENT ON COLUMN app.tenants.daily_tokens IS 'Tokens of AI a day, in and out; NULL: as many as the service''s settings say';
CREATE TABLE app.users (
    tenant_id uuid NOT NULL,
    user_id uuid DEFAULT gen_random_uuid() NOT NULL,
    email text,
    role text DEFAULT 'member'::text NOT NULL,
    timezone text DEFAULT 'UTC'::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    cleared_at timestamp with time zone,
    CONSTRAINT users_email_is_an_address CHECK (((email ~ '^[^\s@]+@[^\s@]+$'::text) AND (length(email) <= 254))),
    CONSTRAINT users_role_known CHECK ((role = ANY (ARRAY['member'::text, 'admin'::text]))),
    CONSTRAINT users_timezone_known CHECK (((timezone ~ '^[A-Za-z_]+(/[A-Za-z0-9_+-]+)*$'::text) AND (('2000-01-01 00:00:00+00'::timestamp with time zone AT TIME ZONE timezone) IS NOT NULL)))
);
ALTER TABLE ONLY app.users ALTER COLUMN email SET STATISTICS 0;
ALTER TABLE ONLY app.users ALTER COLUMN role SET STATISTICS 0;
ALTER TABLE ONLY app.users ALTER COLUMN timezone SET STATISTICS 0;
ALTER TABLE ONLY app.users FORCE ROW LEVEL SECURITY;
COMMENT ON COLUMN app.users.email IS 'NULL for a person whom the service has met only by a verified token';
COMMENT ON COLUMN app.users.timezone IS 'IANA name: whose midnight a day of theirs ends at';
COMMENT ON COLUMN app.users.cleared_at IS 'When they last logged out: what was asked for by then is not given out any more';
CREATE FUNCTION app.find_login(tenant_name text, address text) RETURNS TABLE(tenant_id uuid, email text, user_id uuid, role text, password_hash text)
    LANGUAGE sql STABLE SECURITY DEFINER ROWS 1 PARALLEL RESTRICTED
    SET search_path TO 'pg_catalog', 'pg_temp'
    BEGIN ATOMIC
 SELECT tenant.tenant_id,
     lower(find_login.address) AS lower,
     person.user_id,
     person.role,
     held.password_hash
    FROM ((( SELECT named.tenant_id
            FROM app.tenants named
           WHERE (named.tenant_id =
                 CASE
                     WHEN (find_login.tenant_name ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'::text) THEN (find_login.tenant_name)::uuid
                     ELSE NULL::uuid
                 END)
         UNION ALL
          SELECT named.tenant_id
            FROM app.tenants named
           WHERE (lower(named.slug) = lower(find_login.tenant_name))) tenant
      LEFT JOIN app.users person ON (((person.tenant_id = tenant.tenant_id) AND (lower(person.email) = lower(find_login.address)))))
      LEFT JOIN app.credentials held ON (((held.tenant_id = person.tenant_id) AND (held.user_id = person.user_id))))
   WHERE (app.tenant_id() = '00000000-0000-0000-0000-000000000000'::uuid);
END;
COMMENT ON FUNCTION app.find_login(tenant_name text, address text) IS 'Find whoever logs in, by their tenant''s slug or id; the person is NULL where nobody has that address';
CREATE FUNCTION app.forget_limits() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    with finished as (
        select tenant_id, subject
        from app.rate_limits
        where ends_at <= clock_timestamp()
        limit 10000
        for update skip locked
    )
    delete from app.rate_limits
    using finished
    where rate_limits.tenant_id = finished.tenant_id
      and rate_limits.subject = finished.subject;
end
$$;
COMMENT ON FUNCTION app.forget_limits() IS 'Delete some of the rows whose windows are over';
CREATE PROCEDURE app.isolate(IN target regclass)
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
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
COMMENT ON PROCEDURE app.isolate(IN target regclass) IS 'Put a table behind the tenant wall: the only way a table gets its policies';
CREATE FUNCTION app.lock_person() RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    perform from app.users
    where tenant_id = app.tenant_id()
      and user_id = app.user_id()
    for no key update;
    return found;
end
$$;
COMMENT ON FUNCTION app.lock_person() IS 'Hold the caller''s own row until the transaction ends; whether there is one';
CREATE FUNCTION app.reach() RETURNS TABLE(tenant_id uuid, user_id uuid)
    LANGUAGE sql STABLE ROWS 1 PARALLEL RESTRICTED
    BEGIN ATOMIC
 SELECT (substr(verified.context, 23, 36))::uuid AS substr,
         CASE
             WHEN ((substr(verified.context, 134) = 'admin'::text) OR ("left"(verified.context, 10) = '9999999999'::text)) THEN '00000000-0000-0000-0000-000000000000'::uuid
             ELSE (NULLIF(substr(verified.context, 60, 36), '00000000-0000-0000-0000-000000000000'::text))::uuid
         END AS "nullif"
    FROM ( SELECT app.verified_context() AS context
          OFFSET 0) verified;
END;
COMMENT ON FUNCTION app.reach() IS 'Whose rows the verified context may read: one person''s, or everybody''s (all zeros) of its tenant; NULL: nobody''s';
CREATE FUNCTION app.role() RETURNS text
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    RETURN substr(app.verified_context(), 134);
COMMENT ON FUNCTION app.role() IS 'What the caller may see in their tenant: member (their own rows) or admin (all of them)';
CREATE FUNCTION app.session_id() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    RETURN (NULLIF(substr(app.verified_context(), 97, 36), '00000000-0000-0000-0000-000000000000'::text))::uuid;
COMMENT ON FUNCTION app.session_id() IS 'The session that the caller''s token belongs to, or NULL';
CREATE FUNCTION app.user_id() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    RETURN (NULLIF(substr(app.verified_context(), 60, 36), '00000000-0000-0000-0000-000000000000'::text))::uuid;
COMMENT ON FUNCTION app.user_id() IS 'The person this statement runs for, or NULL: then no row is anybody''s own';
CREATE TABLE app.audit_events (
    tenant_id uuid NOT NULL,
    event_id uuid DEFAULT gen_random_uuid() NOT NULL,
    user_id uuid NOT NULL,
    occurred_at timestamp with time zone NOT NULL,
    kind text NOT NULL,
    session_id uuid,
    address text,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT audit_events_address_length CHECK ((length(address) <= 45)),
    CONSTRAINT audit_events_kind_known CHECK ((kind = ANY (ARRAY['logged_in'::text, 'login_failed'::text, 'refreshed'::text, 'refresh_superseded'::text, 'refresh_reused'::text, 'logged_out'::text, 'session_revoked'::text, 'password_changed'::text, 'role_changed'::text])))
);
ALTER TABLE ONLY app.audit_events ALTER COLUMN kind SET STATISTICS 0;
ALTER TABLE ONLY app.audit_events ALTER COLUMN address SET STATISTICS 0;
ALTER TABLE ONLY app.audit_events ALTER COLUMN detail SET STATISTICS 0;
ALTER TABLE ONLY app.audit_events FORCE ROW LEVEL SECURITY;
COMMENT ON COLUMN app.audit_events.user_id IS 'Whose account it is about; not a foreign key, since it outlives them. 00000000-0000-0000-0000-000000000001: nobody''s, someone tried an e-mail address that no user has';
CREATE TABLE app.budget_use (
    tenant_id uuid NOT NULL,
    date date NOT NULL,
    calls bigint NOT NULL,
    tokens bigint NOT NULL,
    CONSTRAINT budget_use_counted CHECK (((calls >= 0) AND (tokens >= 0)))
);
ALTER TABLE ONLY app.budget_use FORCE ROW LEVEL SECURITY;
COMMENT ON TABLE app.budget_use IS 'What a tenant used of its budget on a day (UTC), what runs may still use set aside';
CREATE TABLE app.user_recommendations (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    generated_at timestamp with time zone NOT NULL,
    "position" smallint NOT NULL,
    engine text NOT NULL,
    recommendation text NOT NULL,
    reasoning text NOT NULL,
    data_point jsonb,
    based_on jsonb NOT NULL,
    viewed_at timestamp with time zone,
    viewed boolean GENERATED ALWAYS AS ((viewed_at IS NOT NULL)) STORED NOT NULL,
    topic text,
    fallback boolean DEFAULT false NOT NULL,
    helpful boolean,
    note text,
    judged_at timestamp with time zone,
    cleared_at timestamp with time zone,
    CONSTRAINT user_recommendations_engine_length CHECK (((length(engine) >= 1) AND (length(engine) <= 40))),
    CONSTRAINT user_recommendations_judged_whole CHECK ((((helpful IS NULL) = (judged_at IS NULL)) AND ((note IS NULL) OR (judged_at IS NOT NULL)))),
    CONSTRAINT user_recommendations_note_length CHECK (((length(note) >= 1) AND (length(note) <= 500))),
    CONSTRAINT user_recommendations_position_range CHECK ((("position" >= 1) AND ("position" <= 5))),
    CONSTRAINT user_recommendations_reasoning_length CHECK (((length(reasoning) >= 1) AND (length(reasoning) <= 2000))),
    CONSTRAINT user_recommendations_recommendation_length CHECK (((length(recommendation) >= 1) AND (length(recommendation) <= 500))),
    CONSTRAINT user_recommendations_topic_known CHECK ((topic = ANY (ARRAY['rest'::text, 'sleep'::text, 'movement'::text, 'food'::text, 'attention'::text, 'priorities'::text, 'workload'::text, 'timing'::text, 'meaning'::text, 'people'::text, 'reflection'::text, 'growth'::text])))
);
ALTER TABLE ONLY app.user_recommendations ALTER COLUMN engine SET STATISTICS 0;
ALTER TABLE ONLY app.user_recommendations ALTER COLUMN recommendation SET STATISTICS 0;
ALTER TABLE ONLY app.user_recommendations ALTER COLUMN reasoning SET STATISTICS 0;
ALTER TABLE ONLY app.user_recommendations ALTER COLUMN data_point SET STATISTICS 0;
ALTER TABLE ONLY app.user_recommendations ALTER COLUMN based_on SET STATISTICS 0;
ALTER TABLE ONLY app.user_recommendations ALTER COLUMN topic SET STATISTICS 0;
ALTER TABLE ONLY app.user_recommendations ALTER COLUMN note SET STATISTICS 0;
ALTER TABLE ONLY app.user_recommendations FORCE ROW LEVEL SECURITY;
COMMENT ON COLUMN app.user_recommendations."position" IS '1 to 5, within the batch: all rows of one generated_at';
COMMENT ON COLUMN app.user_recommendations.based_on IS 'What the batch was made from (dataPoints and the averages), on every row, so that a cached read is one index scan';
COMMENT ON COLUMN app.user_recommendations.topic IS 'What it is about; NULL for what was made before topics were';
COMMENT ON COLUMN app.user_recommendations.fallback IS 'The rules stood in for an engine that failed, on every row of the batch: it is kept for a shorter time';
COMMENT ON COLUMN app.user_recommendations.helpful IS 'The person''s last word on it; NULL until there is one';
COMMENT ON COLUMN app.user_recommendations.note IS 'In the person''s own words; no engine is ever sent it';
COMMENT ON COLUMN app.user_recommendations.cleared_at IS 'The person logged out: from then on the cache does not have it';
CREATE VIEW app.cache_hits WITH (security_invoker='true', security_barrier='true') AS
 WITH newest AS (
         SELECT user_recommendations.tenant_id,
            user_recommendations.user_id,
            max(user_recommendations.generated_at) AS generated_at
           FROM app.user_recommendations
          GROUP BY user_recommendations.tenant_id, user_recommendations.user_id
        )
 SELECT tenant_id,
    count(*) AS people,
    count(*) FILTER (WHERE (generated_at > (now() - '01:00:00'::interval))) AS hits
   FROM newest
  GROUP BY tenant_id;
COMMENT ON VIEW app.cache_hits IS 'Of the people who ever got recommendations, how many would get the kept ones if they asked now (by the default hour)';
CREATE TABLE app.pattern_data (
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    date date NOT NULL,
    energy smallint NOT NULL,
    focus smallint NOT NULL,
    fulfillment smallint NOT NULL,
    recorded_at timestamp with time zone DEFAULT now() NOT NULL,
    revision bigint DEFAULT 1 NOT NULL,
    CONSTRAINT pattern_data_energy_range CHECK (((energy >= 0) AND (energy <= 100))),
    CONSTRAINT pattern_data_focus_range CHECK (((focus >= 0) AND (focus <= 100))),
    CONSTRAINT pattern_data_fulfillment_range CHECK (((fulfillment >= 0) AND (fulfillment <= 100)))
)
PARTITION BY RANGE (date);
ALTER TABLE ONLY app.pattern_data FORCE ROW LEVEL SECURITY;
COMMENT ON COLUMN app.pattern_data.date IS 'The day as the person''s own calendar has it (users.timezone)';
COMMENT ON COLUMN app.pattern_data.revision IS '1 as first recorded, one more each time the day is replaced';
CREATE VIEW app.daily_averages WITH (security_invoker='true', security_barrier='true') AS
 SELECT tenant_id,
    date,
    count(*) AS people,
    round(avg(energy), 1) AS energy,
    round(avg(focus), 1) AS focus,
    round(avg(fulfillment), 1) AS fulfillment
   FROM app.pattern_data
  GROUP BY tenant_id, date;
COMMENT ON VIEW app.daily_averages IS 'Each day''s average scores, over the people who recorded it';
CREATE VIEW app.engine_use WITH (security_invoker='true', security_barrier='true') AS
 SELECT tenant_id,
    ((generated_at AT TIME ZONE 'UTC'::text))::date AS date,
    engine,
    count(DISTINCT ROW(user_id, generated_at)) AS batches,
    count(*) AS recommendations,
    count(viewed_at) AS viewed
   FROM app.user_recommendations
  GROUP BY tenant_id, (((generated_at AT TIME ZONE 'UTC'::text))::date), engine;
COMMENT ON VIEW app.engine_use IS 'What each engine made each day (UTC), and how much of it was seen';
CREATE TABLE app.pattern_data_default (
    tenant_id uuid CONSTRAINT pattern_data_tenant_id_not_null NOT NULL,
    user_id uuid CONSTRAINT pattern_data_user_id_not_null NOT NULL,
    date date CONSTRAINT pattern_data_date_not_null NOT NULL,
    energy smallint CONSTRAINT pattern_data_energy_not_null NOT NULL,
    focus smallint CONSTRAINT pattern_data_focus_not_null NOT NULL,
    fulfillment smallint CONSTRAINT pattern_data_fulfillment_not_null NOT NULL,
    recorded_at timestamp with time zone DEFAULT now() CONSTRAINT pattern_data_recorded_at_not_null NOT NULL,
    revision bigint DEFAULT 1 CONSTRAINT pattern_data_revision_not_null NOT NULL,
    CONSTRAINT pattern_data_energy_range CHECK (((energy >= 0) AND (energy <= 100))),
    CONSTRAINT pattern_data_focus_range CHECK (((focus >= 0) AND (focus <= 100))),
    CONSTRAINT pattern_data_fulfillment_range CHECK (((fulfillment >= 0) AND (fulfillment <= 100)))
);
ALTER TABLE ONLY app.pattern_data_default FORCE ROW LEVEL SECURITY;
CREATE UNLOGGED TABLE app.rate_limits (
    tenant_id uuid NOT NULL,
    subject bytea NOT NULL,
    used bigint NOT NULL,
    ends_at timestamp with time zone NOT NULL,
    CONSTRAINT rate_limits_subject_is_a_digest CHECK ((length(subject) = 32)),
    CONSTRAINT rate_limits_used_counted CHECK ((used >= 0))
)
WITH (fillfactor='50', autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='10000');
ALTER TABLE ONLY app.rate_limits ALTER COLUMN subject SET STATISTICS 0;
ALTER TABLE ONLY app.rate_limits FORCE ROW LEVEL SECURITY;
COMMENT ON TABLE app.rate_limits IS 'What each subject has used of its limit; who is nobody yet (a login) is under the tenant that is all zeros';
COMMENT ON COLUMN app.rate_limits.subject IS 'A digest under a key that only the service holds: no e-mail, no address and no id is to be had from it';
COMMENT ON COLUMN app.rate_limits.used IS 'Uses asked for in this window, those refused included';
COMMENT ON COLUMN app.rate_limits.ends_at IS 'By the database''s clock: from then on the next use begins a new window';
CREATE TABLE app.recommendation_runs (
    tenant_id uuid NOT NULL,
    run_id uuid NOT NULL,
    user_id uuid NOT NULL,
    reason text NOT NULL,
    started_at timestamp with time zone NOT NULL,
    lease_until timestamp with time zone NOT NULL,
    outcome text DEFAULT 'running'::text NOT NULL,
    finished_at timestamp with time zone,
    engine text NOT NULL,
    model text,
    prompt_version text,
    given text,
    calls bigint DEFAULT 0 NOT NULL,
    tokens_in bigint DEFAULT 0 NOT NULL,
    tokens_out bigint DEFAULT 0 NOT NULL,
    cost numeric(12,6),
    duration_ms bigint,
    based_on jsonb NOT NULL,
    CONSTRAINT recommendation_runs_engine_length CHECK (((length(engine) >= 1) AND (length(engine) <= 40))),
    CONSTRAINT recommendation_runs_finished_whole CHECK (((outcome = 'running'::text) = (finished_at IS NULL))),
    CONSTRAINT recommendation_runs_given_length CHECK (((length(given) >= 1) AND (length(given) <= 40))),
    CONSTRAINT recommendation_runs_model_length CHECK (((length(model) >= 1) AND (length(model) <= 200))),
    CONSTRAINT recommendation_runs_outcome_known CHECK ((outcome = ANY (ARRAY['running'::text, 'made'::text, 'timed_out'::text, 'unreachable'::text, 'rejected'::text, 'rate_limited'::text, 'server_error'::text, 'refused'::text, 'invalid'::text, 'failed'::text, 'circuit_open'::text, 'over_budget'::text, 'abandoned'::text, 'lost'::text]))),
    CONSTRAINT recommendation_runs_prompt_version_length CHECK (((length(prompt_version) >= 1) AND (length(prompt_version) <= 40))),
    CONSTRAINT recommendation_runs_reason_known CHECK ((reason = ANY (ARRAY['missed'::text, 'renewed'::text, 'refreshed'::text]))),
    CONSTRAINT recommendation_runs_use_counted CHECK (((calls >= 0) AND (tokens_in >= 0) AND (tokens_out >= 0) AND (cost >= (0)::numeric) AND (duration_ms >= 0)))
);
ALTER TABLE ONLY app.recommendation_runs ALTER COLUMN reason SET STATISTICS 0;
ALTER TABLE ONLY app.recommendation_runs ALTER COLUMN outcome SET STATISTICS 0;
ALTER TABLE ONLY app.recommendation_runs ALTER COLUMN engine SET STATISTICS 0;
ALTER TABLE ONLY app.recommendation_runs ALTER COLUMN model SET STATISTICS 0;
ALTER TABLE ONLY app.recommendation_runs ALTER COLUMN prompt_version SET STATISTICS 0;
ALTER TABLE ONLY app.recommendation_runs ALTER COLUMN given SET STATISTICS 0;
ALTER TABLE ONLY app.recommendation_runs ALTER COLUMN based_on SET STATISTICS 0;
ALTER TABLE ONLY app.recommendation_runs FORCE ROW LEVEL SECURITY;
COMMENT ON TABLE app.recommendation_runs IS 'One row for each time that recommendations were made; while it is running, it is the person''s lease as well';
COMMENT ON COLUMN app.recommendation_runs.reason IS 'missed: there were none to give; renewed: those given were stale; refreshed: the person asked for new ones';
COMMENT ON COLUMN app.recommendation_runs.lease_until IS 'By the database''s clock, the one that all processes share: from then on another may make them';
COMMENT ON COLUMN app.recommendation_runs.engine IS 'The engine that was to make them';
COMMENT ON COLUMN app.recommendation_runs.given IS 'The engine whose advice was given; NULL where none was';
COMMENT ON COLUMN app.recommendation_runs.calls IS 'Requests sent to the engine''s API, retries included';
COMMENT ON COLUMN app.recommendation_runs.cost IS 'US dollars; NULL where the model''s price is not known';
CREATE TABLE app.refresh_tokens (
    tenant_id uuid NOT NULL,
    token_hash bytea NOT NULL,
    user_id uuid NOT NULL,
    session_id uuid NOT NULL,
    issued_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone,
    CONSTRAINT refresh_tokens_hash_is_sha256 CHECK ((length(token_hash) = 32))
);
ALTER TABLE ONLY app.refresh_tokens ALTER COLUMN token_hash SET STATISTICS 0;
ALTER TABLE ONLY app.refresh_tokens FORCE ROW LEVEL SECURITY;
COMMENT ON TABLE app.refresh_tokens IS 'Each is good for one use; a session''s newest is the one that is not used yet';
COMMENT ON COLUMN app.refresh_tokens.token_hash IS 'SHA-256 of the token, which itself is kept nowhere';
ALTER TABLE ONLY app.pattern_data ATTACH PARTITION app.pattern_data_default DEFAULT;
ALTER TABLE ONLY app.audit_events
    ADD CONSTRAINT audit_events_pkey PRIMARY KEY (tenant_id, event_id);
ALTER TABLE ONLY app.budget_use
    ADD CONSTRAINT budget_use_pkey PRIMARY KEY (tenant_id, date);
ALTER TABLE ONLY app.credentials
    ADD CONSTRAINT credentials_pkey PRIMARY KEY (tenant_id, user_id);
ALTER TABLE ONLY app.pattern_data
    ADD CONSTRAINT pattern_data_pkey PRIMARY KEY (tenant_id, user_id, date);
ALTER TABLE ONLY app.pattern_data_default
    ADD CONSTRAINT pattern_data_default_pkey PRIMARY KEY (tenant_id, user_id, date);
ALTER TABLE ONLY app.pins
    ADD CONSTRAINT pins_pkey PRIMARY KEY (login);
ALTER TABLE ONLY app.rate_limits
    ADD CONSTRAINT rate_limits_pkey PRIMARY KEY (tenant_id, subject);
ALTER TABLE ONLY app.recommendation_runs
    ADD CONSTRAINT recommendation_runs_pkey PRIMARY KEY (tenant_id, run_id);
ALTER TABLE ONLY app.refresh_tokens
    ADD CONSTRAINT refresh_tokens_pkey PRIMARY KEY (tenant_id, token_hash);
ALTER TABLE ONLY app.seal_keys
    ADD CONSTRAINT seal_keys_pkey PRIMARY KEY (key_id);
ALTER TABLE ONLY app.sessions
    ADD CONSTRAINT sessions_of_person UNIQUE (tenant_id, user_id, session_id);
ALTER TABLE ONLY app.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (tenant_id, session_id);
ALTER TABLE ONLY app.tenants
    ADD CONSTRAINT tenants_pkey PRIMARY KEY (tenant_id);
ALTER TABLE ONLY app.user_recommendations
    ADD CONSTRAINT user_recommendations_pkey PRIMARY KEY (tenant_id, id);
ALTER TABLE ONLY app.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (tenant_id, user_id);
CREATE INDEX audit_events_newest ON app.audit_events USING btree (tenant_id, occurred_at DESC, event_id DESC);
CREATE INDEX recommendation_runs_refreshed ON app.recommendation_runs USING btree (tenant_id, user_id, started_at) WHERE (reason = 'refreshed'::text);
CREATE UNIQUE INDEX recommendation_runs_running ON app.recommendation_runs USING btree (tenant_id, user_id) WHERE (outcome = 'running'::text);
CREATE INDEX recommendation_runs_started ON app.recommendation_runs USING btree (tenant_id, started_at);
CREATE INDEX refresh_tokens_of_session ON app.refresh_tokens USING btree (tenant_id, session_id);
CREATE UNIQUE INDEX tenants_slug_key ON app.tenants USING btree (lower(slug));
ALTER INDEX app.tenants_slug_key ALTER COLUMN 1 SET STATISTICS 0;
CREATE INDEX user_recommendations_judged ON app.user_recommendations USING btree (tenant_id, user_id, judged_at) WHERE (judged_at IS NOT NULL);
CREATE UNIQUE INDEX user_recommendations_newest ON app.user_recommendations USING btree (tenant_id, user_id, generated_at DESC, "position");
CREATE UNIQUE INDEX users_email_key ON app.users USING btree (tenant_id, lower(email));
ALTER INDEX app.users_email_key ALTER COLUMN 2 SET STATISTICS 0;
ALTER INDEX app.pattern_data_pkey ATTACH PARTITION app.pattern_data_default_pkey;
CREATE STATISTICS app.user_recommendations_people (dependencies) ON tenant_id, user_id FROM app.user_recommendations;
ALTER TABLE ONLY app.audit_events
    ADD CONSTRAINT audit_events_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES app.tenants(tenant_id) ON DELETE CASCADE;
ALTER TABLE ONLY app.budget_use
    ADD CONSTRAINT budget_use_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES app.tenants(tenant_id) ON DELETE CASCADE;
ALTER TABLE ONLY app.credentials
    ADD CONSTRAINT credentials_user_fkey FOREIGN KEY (tenant_id, user_id) REFERENCES app.users(tenant_id, user_id) ON DELETE CASCADE;
ALTER TABLE app.pattern_data
    ADD CONSTRAINT pattern_data_user_fkey FOREIGN KEY (tenant_id, user_id) REFERENCES app.users(tenant_id, user_id) ON DELETE CASCADE;
ALTER TABLE ONLY app.pins
    ADD CONSTRAINT pins_tenant_fkey FOREIGN KEY (tenant) REFERENCES app.tenants(tenant_id) ON DELETE CASCADE;
ALTER TABLE ONLY app.recommendation_runs
    ADD CONSTRAINT recommendation_runs_user_fkey FOREIGN KEY (tenant_id, user_id) REFERENCES app.users(tenant_id, user_id) ON DELETE CASCADE;
ALTER TABLE ONLY app.refresh_tokens
    ADD CONSTRAINT refresh_tokens_session_fkey FOREIGN KEY (tenant_id, user_id, session_id) REFERENCES app.sessions(tenant_id, user_id, session_id) ON DELETE CASCADE;
ALTER TABLE ONLY app.sessions
    ADD CONSTRAINT sessions_user_fkey FOREIGN KEY (tenant_id, user_id) REFERENCES app.users(tenant_id, user_id) ON DELETE CASCADE;
ALTER TABLE ONLY app.user_recommendations
    ADD CONSTRAINT user_recommendations_user_fkey FOREIGN KEY (tenant_id, user_id) REFERENCES app.users(tenant_id, user_id) ON DELETE CASCADE;
ALTER TABLE ONLY app.users
    ADD CONSTRAINT users_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES app.tenants(tenant_id) ON DELETE CASCADE;
CREATE POLICY analyst_rows ON app.audit_events FOR SELECT TO daymark_analyst USING (((tenant_id,
CASE
    WHEN (( SELECT app.claimed_reach() AS claimed_reach) = 'own'::text) THEN user_id
    ELSE '00000000-0000-0000-0000-000000000000'::uuid
END, true) = ( SELECT reach.tenant_id,
    reach.user_id,
    true
   FROM app.reach() reach(tenant_id, user_id))));
CREATE POLICY analyst_rows ON app.budget_use FOR SELECT TO daymark_analyst USING (((tenant_id, true) = ( SELECT app.tenant_id() AS tenant_id,
    true)));
CREATE POLICY analyst_rows ON app.credentials FOR SELECT TO daymark_analyst USING (((tenant_id,
CASE
    WHEN (( SELECT app.claimed_reach() AS claimed_reach) = 'own'::text) THEN user_id
    ELSE '00000000-0000-0000-0000-000000000000'::uuid
END, true) = ( SELECT reach.tenant_id,
    reach.user_id,
    true
   FROM app.reach() reach(tenant_id, user_id))));
CREATE POLICY analyst_rows ON app.pattern_data FOR SELECT TO daymark_analyst USING (((tenant_id,
CASE
    WHEN (( SELECT app.claimed_reach() AS claimed_reach) = 'own'::text) THEN user_id
    ELSE '00000000-0000-0000-0000-000000000000'::uuid
END, true) = ( SELECT reach.tenant_id,
    reach.user_id,
    true
   FROM app.reach() reach(tenant_id, user_id))));
CREATE POLICY analyst_rows ON app.pattern_data_default FOR SELECT TO daymark_analyst USING (((tenant_id,
CASE
    WHEN (( SELECT app.claimed_reach() AS claimed_reach) = 'own'::text) THEN user_id
    ELSE '00000000-0000-0000-0000-000000000000'::uuid
END, true) = ( SELECT reach.tenant_id,
    reach.user_id,
    true
   FROM app.reach() reach(tenant_id, user_id))));
CREATE POLICY analyst_rows ON app.rate_limits FOR SELECT TO daymark_analyst USING (((tenant_id, true) = ( SELECT app.tenant_id() AS tenant_id,
    true)));
CREATE POLICY analyst_rows ON app.recommendation_runs FOR SELECT TO daymark_analyst USING (((tenant_id,
CASE
    WHEN (( SELECT app.claimed_reach() AS claimed_reach) = 'own'::text) THEN user_id
    ELSE '00000000-0000-0000-0000-000000000000'::uuid
END, true) = ( SELECT reach.tenant_id,
    reach.user_id,
    true
   FROM app.reach() reach(tenant_id, user_id))));
CREATE POLICY analyst_rows ON app.refresh_tokens FOR SELECT TO daymark_analyst USING (((tenant_id,
CASE
    WHEN (( SELECT app.claimed_reach() AS claimed_reach) = 'own'::text) THEN user_id
    ELSE '00000000-0000-0000-0000-000000000000'::uuid
END, true) = ( SELECT reach.tenant_id,
    reach.user_id,
    true
   FROM app.reach() reach(tenant_id, user_id))));
CREATE POLICY analyst_rows ON app.sessions FOR SELECT TO daymark_analyst USING (((tenant_id,
CASE
    WHEN (( SELECT app.claimed_reach() AS claimed_reach) = 'own'::text) THEN user_id
    ELSE '00000000-0000-0000-0000-000000000000'::uuid
END, true) = ( SELECT reach.tenant_id,
    reach.user_id,
    true
   FROM app.reach() reach(tenant_id, user_id))));
CREATE POLICY analyst_rows ON app.tenants FOR SELECT TO daymark_analyst USING (((tenant_id, true) = ( SELECT app.tenant_id() AS tenant_id,
    true)));
CREATE POLICY analyst_rows ON app.user_recommendations FOR SELECT TO daymark_analyst USING (((tenant_id,
CASE
    WHEN (( SELECT app.claimed_reach() AS claimed_reach) = 'own'::text) THEN user_id
    ELSE '00000000-0000-0000-0000-000000000000'::uuid
END, true) = ( SELECT reach.tenant_id,
    reach.user_id,
    true
   FROM app.reach() reach(tenant_id, user_id))));
CREATE POLICY analyst_rows ON app.users FOR SELECT TO daymark_analyst USING (((tenant_id,
CASE
    WHEN (( SELECT app.claimed_reach() AS claimed_reach) = 'own'::text) THEN user_id
    ELSE '00000000-0000-0000-0000-000000000000'::uuid
END, true) = ( SELECT reach.tenant_id,
    reach.user_id,
    true
   FROM app.reach() reach(tenant_id, user_id))));
ALTER TABLE app.audit_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.budget_use ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.credentials ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_inserts ON app.audit_events FOR INSERT TO daymark_service WITH CHECK ((user_id = ( SELECT app.user_id() AS user_id)));
CREATE POLICY own_inserts ON app.credentials FOR INSERT TO daymark_service WITH CHECK ((user_id = ( SELECT app.user_id() AS user_id)));
CREATE POLICY own_inserts ON app.pattern_data FOR INSERT TO daymark_service WITH CHECK ((user_id = ( SELECT app.user_id() AS user_id)));
CREATE POLICY own_inserts ON app.pattern_data_default FOR INSERT TO daymark_service WITH CHECK ((user_id = ( SELECT app.user_id() AS user_id)));
CREATE POLICY own_inserts ON app.recommendation_runs FOR INSERT TO daymark_service WITH CHECK ((user_id = ( SELECT app.user_id() AS user_id)));
CREATE POLICY own_inserts ON app.refresh_tokens FOR INSERT TO daymark_service WITH CHECK ((user_id = ( SELECT app.user_id() AS user_id)));
CREATE POLICY own_inserts ON app.sessions FOR INSERT TO daymark_service WITH CHECK ((user_id = ( SELECT app.user_id() AS user_id)));
CREATE POLICY own_inserts ON app.user_recommendations FOR INSERT TO daymark_service WITH CHECK ((user_id = ( SELECT app.user_id() AS user_id)));
CREATE POLICY own_inserts ON app.users FOR INSERT TO daymark_service WITH CHECK ((user_id = ( SELECT app.user_id() AS user_id)));
CREATE POLICY own_updates ON app.audit_events FOR UPDATE TO daymark_service USING (((user_id, true) = ( SELECT app.user_id() AS user_id,
    true))) WITH CHECK ((user_id = ( SELECT app.user_id() AS user_id)));
CREATE POLICY own_updates ON app.credentials FOR UPDATE TO daymark_service USING (((user_id, true) = ( SELECT app.user_id() AS user_id,
    true))) WITH CHECK ((user_id = ( SELECT app.user_id() AS user_id)));
CREATE POLICY own_updates ON app.pattern_data FOR UPDATE TO daymark_service USING (((user_id, true) = ( SELECT app.user_id() AS user_id,
    true))) WITH CHECK ((user_id = ( SELECT app.user_id() AS user_id)));
CREATE POLICY own_updates ON app.pattern_data_default FOR UPDATE TO daymark_service USING (((user_id, true) = ( SELECT app.user_id() AS user_id,
    true))) WITH CHECK ((user_id = ( SELECT app.user_id() AS user_id)));
CREATE POLICY own_updates ON app.recommendation_runs FOR UPDATE TO daymark_service USING (((user_id, true) = ( SELECT app.user_id() AS user_id,
    true))) WITH CHECK ((user_id = ( SELECT app.user_id() AS user_id)));
CREATE POLICY own_updates ON app.refresh_tokens FOR UPDATE TO daymark_service USING (((user_id, true) = ( SELECT app.user_id() AS user_id,
    true))) WITH CHECK ((user_id = ( SELECT app.user_id() AS user_id)));
CREATE POLICY own_updates ON app.sessions FOR UPDATE TO daymark_service USING (((user_id, true) = ( SELECT app.user_id() AS user_id,
    true))) WITH CHECK ((user_id = ( SELECT app.user_id() AS user_id)));
CREATE POLICY own_updates ON app.user_recommendations FOR UPDATE TO daymark_service USING (((user_id, true) = ( SELECT app.user_id() AS user_id,
    true))) WITH CHECK ((user_id = ( SELECT app.user_id() AS user_id)));
CREATE POLICY own_updates ON app.users FOR UPDATE TO daymark_service USING (((user_id, true) = ( SELECT app.user_id() AS user_id,
    true))) WITH CHECK ((user_id = ( SELECT app.user_id() AS user_id)));
ALTER TABLE app.pattern_data ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.pattern_data_default ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.pins ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.rate_limits ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable_rows ON app.audit_events FOR SELECT TO daymark_service USING (((tenant_id,
CASE
    WHEN (( SELECT app.claimed_reach() AS claimed_reach) = 'own'::text) THEN user_id
    ELSE '00000000-0000-0000-0000-000000000000'::uuid
END, true) = ( SELECT reach.tenant_id,
    reach.user_id,
    true
   FROM app.reach() reach(tenant_id, user_id))));
CREATE POLICY readable_rows ON app.credentials FOR SELECT TO daymark_service USING (((tenant_id,
CASE
    WHEN (( SELECT app.claimed_reach() AS claimed_reach) = 'own'::text) THEN user_id
    ELSE '00000000-0000-0000-0000-000000000000'::uuid
END, true) = ( SELECT reach.tenant_id,
    reach.user_id,
    true
   FROM app.reach() reach(tenant_id, user_id))));
CREATE POLICY readable_rows ON app.pattern_data FOR SELECT TO daymark_service USING (((tenant_id,
CASE
    WHEN (( SELECT app.claimed_reach() AS claimed_reach) = 'own'::text) THEN user_id
    ELSE '00000000-0000-0000-0000-000000000000'::uuid
END, true) = ( SELECT reach.tenant_id,
    reach.user_id,
    true
   FROM app.reach() reach(tenant_id, user_id))));
CREATE POLICY readable_rows ON app.pattern_data_default FOR SELECT TO daymark_service USING (((tenant_id,
CASE
    WHEN (( SELECT app.claimed_reach() AS claimed_reach) = 'own'::text) THEN user_id
    ELSE '00000000-0000-0000-0000-000000000000'::uuid
END, true) = ( SELECT reach.tenant_id,
    reach.user_id,
    true
   FROM app.reach() reach(tenant_id, user_id))));
CREATE POLICY readable_rows ON app.recommendation_runs FOR SELECT TO daymark_service USING (((tenant_id,
CASE
    WHEN (( SELECT app.claimed_reach() AS claimed_reach) = 'own'::text) THEN user_id
    ELSE '00000000-0000-0000-0000-000000000000'::uuid
END, true) = ( SELECT reach.tenant_id,
    reach.user_id,
    true
   FROM app.reach() reach(tenant_id, user_id))));
CREATE POLICY readable_rows ON app.refresh_tokens FOR SELECT TO daymark_service USING (((tenant_id,
CASE
    WHEN (( SELECT app.claimed_reach() AS claimed_reach) = 'own'::text) THEN user_id
    ELSE '00000000-0000-0000-0000-000000000000'::uuid
END, true) = ( SELECT reach.tenant_id,
    reach.user_id,
    true
   FROM app.reach() reach(tenant_id, user_id))));
CREATE POLICY readable_rows ON app.sessions FOR SELECT TO daymark_service USING (((tenant_id,
CASE
    WHEN (( SELECT app.claimed_reach() AS claimed_reach) = 'own'::text) THEN user_id
    ELSE '00000000-0000-0000-0000-000000000000'::uuid
END, true) = ( SELECT reach.tenant_id,
    reach.user_id,
    true
   FROM app.reach() reach(tenant_id, user_id))));
CREATE POLICY readable_rows ON app.user_recommendations FOR SELECT TO daymark_service USING (((tenant_id,
CASE
    WHEN (( SELECT app.claimed_reach() AS claimed_reach) = 'own'::text) THEN user_id
    ELSE '00000000-0000-0000-0000-000000000000'::uuid
END, true) = ( SELECT reach.tenant_id,
    reach.user_id,
    true
   FROM app.reach() reach(tenant_id, user_id))));
CREATE POLICY readable_rows ON app.users FOR SELECT TO daymark_service USING (((tenant_id,
CASE
    WHEN (( SELECT app.claimed_reach() AS claimed_reach) = 'own'::text) THEN user_id
    ELSE '00000000-0000-0000-0000-000000000000'::uuid
END, true) = ( SELECT reach.tenant_id,
    reach.user_id,
    true
   FROM app.reach() reach(tenant_id, user_id))));
ALTER TABLE app.recommendation_runs ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.refresh_tokens ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.seal_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.sessions ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_floor ON app.audit_events AS RESTRICTIVE USING (((tenant_id,
CASE
    WHEN (( SELECT app.claimed_reach() AS claimed_reach) = 'own'::text) THEN user_id
    ELSE '00000000-0000-0000-0000-000000000000'::uuid
END, true) = ( SELECT reach.tenant_id,
    reach.user_id,
    true
   FROM app.reach() reach(tenant_id, user_id)))) WITH CHECK (((tenant_id,
CASE
    WHEN (( SELECT app.claimed_reach() AS claimed_reach) = 'own'::text) THEN user_id
    ELSE '00000000-0000-0000-0000-000000000000'::uuid
END, true) = ( SELECT reach.tenant_id,
    reach.user_id,
    true
   FROM app.reach() reach(tenant_id, user_id))));
CREATE POLICY tenant_floor ON app.budget_use AS RESTRICTIVE USING (((tenant_id, true) = ( SELECT app.tenant_id() AS tenant_id,
    true))) WITH CHECK (((tenant_id, true) = ( SELECT app.tenant_id() AS tenant_id,
    true)));
CREATE POLICY tenant_floor ON app.credentials AS RESTRICTIVE USING (((tenant_id,
CASE
    WHEN (( SELECT app.claimed_reach() AS claimed_reach) = 'own'::text) THEN user_id
    ELSE '00000000-0000-0000-0000-000000000000'::uuid
END, true) = ( SELECT reach.tenant_id,
    reach.user_id,
    true
   FROM app.reach() reach(tenant_id, user_id)))) WITH CHECK (((tenant_id,
CASE
    WHEN (( SELECT app.claimed_reach() AS claimed_reach) = 'own'::text) THEN user_id
    ELSE '00000000-0000-0000-0000-000000000000'::uuid
END, true) = ( SELECT reach.tenant_id,
    reach.user_id,
    true
   FROM app.reach() reach(tenant_id, user_id))));
CREATE POLICY tenant_floor ON app.pattern_data AS RESTRICTIVE USING (((tenant_id,
CASE
    WHEN (( SELECT app.claimed_reach() AS claimed_reach) = 'own'::text) THEN user_id
    ELSE '00000000-0000-0000-0000-000000000000'::uuid
END, true) = ( SELECT reach.tenant_id,
    reach.user_id,
    true
   FROM app.reach() reach(tenant_id, user_id)))) WITH CHECK (((tenant_id,
CASE
    WHEN (( SELECT app.claimed_reach() AS claimed_reach) = 'own'::text) THEN user_id
    ELSE '00000000-0000-0000-0000-000000000000'::uuid
END, true) = ( SELECT reach.tenant_id,
    reach.user_id,
    true
   FROM app.reach() reach(tenant_id, user_id))));
CREATE POLICY tenant_floor ON app.pattern_data_default AS RESTRICTIVE USING (((tenant_id,
CASE
    WHEN (( SELECT app.claimed_reach() AS claimed_reach) = 'own'::text) THEN user_id
    ELSE '00000000-0000-0000-0000-000000000000'::uuid
END, true) = ( SELECT reach.tenant_id,
    reach.user_id,
    true
   FROM app.reach() reach(tenant_id, user_id)))) WITH CHECK (((tenant_id,
CASE
    WHEN (( SELECT app.claimed_reach() AS claimed_reach) = 'own'::text) THEN user_id
    ELSE '00000000-0000-0000-0000-000000000000'::uuid
END, true) = ( SELECT reach.tenant_id,
    reach.user_id,
    true
   FROM app.reach() reach(tenant_id, user_id))));
CREATE POLICY tenant_floor ON app.rate_limits AS RESTRICTIVE USING (((tenant_id, true) = ( SELECT app.tenant_id() AS tenant_id,
    true))) WITH CHECK (((tenant_id, true) = ( SELECT app.tenant_id() AS tenant_id,
    true)));
CREATE POLICY tenant_floor ON app.recommendation_runs AS RESTRICTIVE USING (((tenant_id,
CASE
    WHEN (( SELECT app.claimed_reach() AS claimed_reach) = 'own'::text) THEN user_id
    ELSE '00000000-0000-0000-0000-000000000000'::uuid
END, true) = ( SELECT reach.tenant_id,
    reach.user_id,
    true
   FROM app.reach() reach(tenant_id, user_id)))) WITH CHECK (((tenant_id,
CASE
    WHEN (( SELECT app.claimed_reach() AS claimed_reach) = 'own'::text) THEN user_id
    ELSE '00000000-0000-0000-0000-000000000000'::uuid
END, true) = ( SELECT reach.tenant_id,
    reach.user_id,
    true
   FROM app.reach() reach(tenant_id, user_id))));
CREATE POLICY tenant_floor ON app.refresh_tokens AS RESTRICTIVE USING (((tenant_id,
CASE
    WHEN (( SELECT app.claimed_reach() AS claimed_reach) = 'own'::text) THEN user_id
    ELSE '00000000-0000-0000-0000-000000000000'::uuid
END, true) = ( SELECT reach.tenant_id,
    reach.user_id,
    true
   FROM app.reach() reach(tenant_id, user_id)))) WITH CHECK (((tenant_id,
CASE
    WHEN (( SELECT app.claimed_reach() AS claimed_reach) = 'own'::text) THEN user_id
    ELSE '00000000-0000-0000-0000-000000000000'::uuid
END, true) = ( SELECT reach.tenant_id,
    reach.user_id,
    true
   FROM app.reach() reach(tenant_id, user_id))));
CREATE POLICY tenant_floor ON app.sessions AS RESTRICTIVE USING (((tenant_id,
CASE
    WHEN (( SELECT app.claimed_reach() AS claimed_reach) = 'own'::text) THEN user_id
    ELSE '00000000-0000-0000-0000-000000000000'::uuid
END, true) = ( SELECT reach.tenant_id,
    reach.user_id,
    true
   FROM app.reach() reach(tenant_id, user_id)))) WITH CHECK (((tenant_id,
CASE
    WHEN (( SELECT app.claimed_reach() AS claimed_reach) = 'own'::text) THEN user_id
    ELSE '00000000-0000-0000-0000-000000000000'::uuid
END, true) = ( SELECT reach.tenant_id,
    reach.user_id,
    true
   FROM app.reach() reach(tenant_id, user_id))));
CREATE POLICY tenant_floor ON app.tenants AS RESTRICTIVE USING (((tenant_id, true) = ( SELECT app.tenant_id() AS tenant_id,
    true))) WITH CHECK (((tenant_id, true) = ( SELECT app.tenant_id() AS tenant_id,
    true)));
CREATE POLICY tenant_floor ON app.user_recommendations AS RESTRICTIVE USING (((tenant_id,
CASE
    WHEN (( SELECT app.claimed_reach() AS claimed_reach) = 'own'::text) THEN user_id
    ELSE '00000000-0000-0000-0000-000000000000'::uuid
END, true) = ( SELECT reach.tenant_id,
    reach.user_id,
    true
   FROM app.reach() reach(tenant_id, user_id)))) WITH CHECK (((tenant_id,
CASE
    WHEN (( SELECT app.claimed_reach() AS claimed_reach) = 'own'::text) THEN user_id
    ELSE '00000000-0000-0000-0000-000000000000'::uuid
END, true) = ( SELECT reach.tenant_id,
    reach.user_id,
    true
   FROM app.reach() reach(tenant_id, user_id))));
CREATE POLICY tenant_floor ON app.users AS RESTRICTIVE USING (((tenant_id,
CASE
    WHEN (( SELECT app.claimed_reach() AS claimed_reach) = 'own'::text) THEN user_id
    ELSE '00000000-0000-0000-0000-000000000000'::uuid
END, true) = ( SELECT reach.tenant_id,
    reach.user_id,
    true
   FROM app.reach() reach(tenant_id, user_id)))) WITH CHECK (((tenant_id,
CASE
    WHEN (( SELECT app.claimed_reach() AS claimed_reach) = 'own'::text) THEN user_id
    ELSE '00000000-0000-0000-0000-000000000000'::uuid
END, true) = ( SELECT reach.tenant_id,
    reach.user_id,
    true
   FROM app.reach() reach(tenant_id, user_id))));
CREATE POLICY tenant_rows ON app.budget_use TO daymark_service USING (((tenant_id, true) = ( SELECT app.tenant_id() AS tenant_id,
    true))) WITH CHECK (((tenant_id, true) = ( SELECT app.tenant_id() AS tenant_id,
    true)));
CREATE POLICY tenant_rows ON app.rate_limits TO daymark_service USING (((tenant_id, true) = ( SELECT app.tenant_id() AS tenant_id,
    true))) WITH CHECK (((tenant_id, true) = ( SELECT app.tenant_id() AS tenant_id,
    true)));
CREATE POLICY tenant_rows ON app.tenants TO daymark_service USING (((tenant_id, true) = ( SELECT app.tenant_id() AS tenant_id,
    true))) WITH CHECK (((tenant_id, true) = ( SELECT app.tenant_id() AS tenant_id,
    true)));
ALTER TABLE app.tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.user_recommendations ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.users ENABLE ROW LEVEL SECURITY;
GRANT USAGE ON SCHEMA app TO daymark_service;
GRANT USAGE ON SCHEMA app TO daymark_analyst;
REVOKE ALL ON PROCEDURE app.add_partitions(IN first_day date, IN last_day date) FROM PUBLIC;
REVOKE ALL ON FUNCTION app.pinned_context() FROM PUBLIC;
GRANT ALL ON FUNCTION app.pinned_context() TO daymark_analyst;
GRANT ALL ON FUNCTION app.pinned_context() TO daymark_service;
REVOKE ALL ON FUNCTION app.claimed_reach() FROM PUBLIC;
GRANT ALL ON FUNCTION app.claimed_reach() TO daymark_analyst;
GRANT ALL ON FUNCTION app.claimed_reach() TO daymark_service;
REVOKE ALL ON FUNCTION app.clear_person(since timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION app.clear_person(since timestamp with time zone) TO daymark_service;
REVOKE ALL ON FUNCTION app.confirm_login(password_hash text, role text) FROM PUBLIC;
GRANT ALL ON FUNCTION app.confirm_login(password_hash text, role text) TO daymark_service;
REVOKE ALL ON FUNCTION app.delete_old_sessions(before timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION app.delete_old_sessions(before timestamp with time zone) TO daymark_service;
REVOKE ALL ON FUNCTION app.delete_pattern(day date) FROM PUBLIC;
GRANT ALL ON FUNCTION app.delete_pattern(day date) TO daymark_service;
REVOKE ALL ON FUNCTION app.enter(for_tenant uuid, for_user uuid, seal text) FROM PUBLIC;
GRANT ALL ON FUNCTION app.enter(for_tenant uuid, for_user uuid, seal text) TO daymark_service;
REVOKE ALL ON FUNCTION app.refuse(reason text) FROM PUBLIC;
GRANT ALL ON FUNCTION app.refuse(reason text) TO daymark_service;
GRANT ALL ON FUNCTION app.refuse(reason text) TO daymark_analyst;
REVOKE ALL ON FUNCTION app.refuse_session() FROM PUBLIC;
GRANT SELECT ON TABLE app.sessions TO daymark_service;
GRANT INSERT(tenant_id) ON TABLE app.sessions TO daymark_service;
GRANT INSERT(session_id) ON TABLE app.sessions TO daymark_service;
GRANT INSERT(user_id) ON TABLE app.sessions TO daymark_service;
GRANT INSERT(created_at) ON TABLE app.sessions TO daymark_service;
GRANT INSERT(used_at),UPDATE(used_at) ON TABLE app.sessions TO daymark_service;
GRANT INSERT(expires_at),UPDATE(expires_at) ON TABLE app.sessions TO daymark_service;
GRANT UPDATE(ended_at) ON TABLE app.sessions TO daymark_service;
GRANT UPDATE(ended_reason) ON TABLE app.sessions TO daymark_service;
GRANT INSERT(address) ON TABLE app.sessions TO daymark_service;
GRANT INSERT(agent) ON TABLE app.sessions TO daymark_service;
REVOKE ALL ON FUNCTION app.session_lasts(of_tenant uuid, of_user uuid, session uuid) FROM PUBLIC;
REVOKE ALL ON FUNCTION app.verified_context() FROM PUBLIC;
GRANT ALL ON FUNCTION app.verified_context() TO daymark_service;
GRANT ALL ON FUNCTION app.verified_context() TO daymark_analyst;
REVOKE ALL ON FUNCTION app.tenant_id() FROM PUBLIC;
GRANT ALL ON FUNCTION app.tenant_id() TO daymark_service;
GRANT ALL ON FUNCTION app.tenant_id() TO daymark_analyst;
GRANT SELECT ON TABLE app.tenants TO daymark_service;
GRANT SELECT ON TABLE app.tenants TO daymark_analyst;
GRANT SELECT ON TABLE app.users TO daymark_service;
GRANT SELECT ON TABLE app.users TO daymark_analyst;
GRANT INSERT(tenant_id) ON TABLE app.users TO daymark_service;
GRANT INSERT(user_id) ON TABLE app.users TO daymark_service;
REVOKE ALL ON FUNCTION app.find_login(tenant_name text, address text) FROM PUBLIC;
GRANT ALL ON FUNCTION app.find_login(tenant_name text, address text) TO daymark_service;
REVOKE ALL ON FUNCTION app.forget_limits() FROM PUBLIC;
GRANT ALL ON FUNCTION app.forget_limits() TO daymark_service;
REVOKE ALL ON PROCEDURE app.isolate(IN target regclass) FROM PUBLIC;
REVOKE ALL ON FUNCTION app.lock_person() FROM PUBLIC;
GRANT ALL ON FUNCTION app.lock_person() TO daymark_service;
REVOKE ALL ON FUNCTION app.reach() FROM PUBLIC;
GRANT ALL ON FUNCTION app.reach() TO daymark_analyst;
GRANT ALL ON FUNCTION app.reach() TO daymark_service;
REVOKE ALL ON FUNCTION app.role() FROM PUBLIC;
GRANT ALL ON FUNCTION app.role() TO daymark_service;
GRANT ALL ON FUNCTION app.role() TO daymark_analyst;
REVOKE ALL ON FUNCTION app.session_id() FROM PUBLIC;
GRANT ALL ON FUNCTION app.session_id() TO daymark_service;
GRANT ALL ON FUNCTION app.session_id() TO daymark_analyst;
REVOKE ALL ON FUNCTION app.user_id() FROM PUBLIC;
GRANT ALL ON FUNCTION app.user_id() TO daymark_service;
GRANT ALL ON FUNCTION app.user_id() TO daymark_analyst;
GRANT SELECT ON TABLE app.audit_events TO daymark_service;
GRANT INSERT(tenant_id) ON TABLE app.audit_events TO daymark_service;
GRANT INSERT(user_id) ON TABLE app.audit_events TO daymark_service;
GRANT INSERT(occurred_at) ON TABLE app.audit_events TO daymark_service;
GRANT INSERT(kind) ON TABLE app.audit_events TO daymark_service;
GRANT INSERT(session_id) ON TABLE app.audit_events TO daymark_service;
GRANT INSERT(address) ON TABLE app.audit_events TO daymark_service;
GRANT INSERT(detail) ON TABLE app.audit_events TO daymark_service;
GRANT SELECT ON TABLE app.budget_use TO daymark_service;
GRANT SELECT ON TABLE app.budget_use TO daymark_analyst;
GRANT INSERT(tenant_id) ON TABLE app.budget_use TO daymark_service;
GRANT INSERT(date) ON TABLE app.budget_use TO daymark_service;
GRANT INSERT(calls),UPDATE(calls) ON TABLE app.budget_use TO daymark_service;
GRANT INSERT(tokens),UPDATE(tokens) ON TABLE app.budget_use TO daymark_service;
GRANT SELECT ON TABLE app.user_recommendations TO daymark_service;
GRANT SELECT ON TABLE app.user_recommendations TO daymark_analyst;
GRANT INSERT(tenant_id) ON TABLE app.user_recommendations TO daymark_service;
GRANT INSERT(id) ON TABLE app.user_recommendations TO daymark_service;
GRANT INSERT(user_id) ON TABLE app.user_recommendations TO daymark_service;
GRANT INSERT(generated_at) ON TABLE app.user_recommendations TO daymark_service;
GRANT INSERT("position") ON TABLE app.user_recommendations TO daymark_service;
GRANT INSERT(engine) ON TABLE app.user_recommendations TO daymark_service;
GRANT INSERT(recommendation) ON TABLE app.user_recommendations TO daymark_service;
GRANT INSERT(reasoning) ON TABLE app.user_recommendations TO daymark_service;
GRANT INSERT(data_point) ON TABLE app.user_recommendations TO daymark_service;
GRANT INSERT(based_on) ON TABLE app.user_recommendations TO daymark_service;
GRANT UPDATE(viewed_at) ON TABLE app.user_recommendations TO daymark_service;
GRANT INSERT(topic) ON TABLE app.user_recommendations TO daymark_service;
GRANT INSERT(fallback) ON TABLE app.user_recommendations TO daymark_service;
GRANT UPDATE(helpful) ON TABLE app.user_recommendations TO daymark_service;
GRANT UPDATE(note) ON TABLE app.user_recommendations TO daymark_service;
GRANT UPDATE(judged_at) ON TABLE app.user_recommendations TO daymark_service;
GRANT INSERT(cleared_at),UPDATE(cleared_at) ON TABLE app.user_recommendations TO daymark_service;
GRANT SELECT ON TABLE app.cache_hits TO daymark_analyst;
GRANT SELECT ON TABLE app.cache_hits TO daymark_service;
GRANT SELECT ON TABLE app.pattern_data TO daymark_service;
GRANT SELECT ON TABLE app.pattern_data TO daymark_analyst;
GRANT INSERT(tenant_id) ON TABLE app.pattern_data TO daymark_service;
GRANT INSERT(user_id) ON TABLE app.pattern_data TO daymark_service;
GRANT INSERT(date) ON TABLE app.pattern_data TO daymark_service;
GRANT INSERT(energy),UPDATE(energy) ON TABLE app.pattern_data TO daymark_service;
GRANT INSERT(focus),UPDATE(focus) ON TABLE app.pattern_data TO daymark_service;
GRANT INSERT(fulfillment),UPDATE(fulfillment) ON TABLE app.pattern_data TO daymark_service;
GRANT INSERT(recorded_at),UPDATE(recorded_at) ON TABLE app.pattern_data TO daymark_service;
GRANT UPDATE(revision) ON TABLE app.pattern_data TO daymark_service;
GRANT SELECT ON TABLE app.daily_averages TO daymark_analyst;
GRANT SELECT ON TABLE app.daily_averages TO daymark_service;
GRANT SELECT ON TABLE app.engine_use TO daymark_analyst;
GRANT SELECT ON TABLE app.engine_use TO daymark_service;
GRANT SELECT ON TABLE app.rate_limits TO daymark_service;
GRANT INSERT(tenant_id) ON TABLE app.rate_limits TO daymark_service;
GRANT INSERT(subject) ON TABLE app.rate_limits TO daymark_service;
GRANT INSERT(used),UPDATE(used) ON TABLE app.rate_limits TO daymark_service;
GRANT INSERT(ends_at),UPDATE(ends_at) ON TABLE app.rate_limits TO daymark_service;
GRANT SELECT ON TABLE app.recommendation_runs TO daymark_service;
GRANT SELECT ON TABLE app.recommendation_runs TO daymark_analyst;
GRANT INSERT(tenant_id) ON TABLE app.recommendation_runs TO daymark_service;
GRANT INSERT(run_id) ON TABLE app.recommendation_runs TO daymark_service;
GRANT INSERT(user_id) ON TABLE app.recommendation_runs TO daymark_service;
GRANT INSERT(reason) ON TABLE app.recommendation_runs TO daymark_service;
GRANT INSERT(started_at) ON TABLE app.recommendation_runs TO daymark_service;
GRANT INSERT(lease_until) ON TABLE app.recommendation_runs TO daymark_service;
GRANT UPDATE(outcome) ON TABLE app.recommendation_runs TO daymark_service;
GRANT UPDATE(finished_at) ON TABLE app.recommendation_runs TO daymark_service;
GRANT INSERT(engine) ON TABLE app.recommendation_runs TO daymark_service;
GRANT INSERT(model) ON TABLE app.recommendation_runs TO daymark_service;
GRANT INSERT(prompt_version) ON TABLE app.recommendation_runs TO daymark_service;
GRANT UPDATE(given) ON TABLE app.recommendation_runs TO daymark_service;
GRANT UPDATE(calls) ON TABLE app.recommendation_runs TO daymark_service;
GRANT UPDATE(tokens_in) ON TABLE app.recommendation_runs TO daymark_service;
GRANT UPDATE(tokens_out) ON TABLE app.recommendation_runs TO daymark_service;
GRANT UPDATE(cost) ON TABLE app.recommendation_runs TO daymark_service;
GRANT UPDATE(duration_ms) ON TABLE app.recommendation_runs TO daymark_service;
GRANT INSERT(based_on) ON TABLE app.recommendation_runs TO daymark_service;
GRANT SELECT ON TABLE app.refresh_tokens TO daymark_service;
GRANT INSERT(tenant_id) ON TABLE app.refresh_tokens TO daymark_service;
GRANT INSERT(token_hash) ON TABLE app.refresh_tokens TO daymark_service;
GRANT INSERT(user_id) ON TABLE app.refresh_tokens TO daymark_service;
GRANT INSERT(session_id) ON TABLE app.refresh_tokens TO daymark_service;
GRANT INSERT(issued_at) ON TABLE app.refresh_tokens TO daymark_service;
GRANT UPDATE(used_at) ON TABLE app.refresh_tokens TO daymark_service;
