-- List functions and procedures in schema app that are not listed here, or not as listed, or executable by others.
-- For the administrator.
--
-- returns     danger text : a sentence for each
--
-- An IMMUTABLE function hands one tenant what was worked out for another, through a plan that was kept; one that runs
-- as its owner and does not pin its search_path does what whoever calls it has put there; a LEAKPROOF one sees rows
-- first.

with listed (signature, kind, volatility, definer, search_path, executors) as (
    values
    ('app.add_partitions(date,date)', 'p', 'v', false, '""', ''),
    ('app.clear_person(timestamp with time zone)', 'f', 'v', true, 'pg_catalog, pg_temp', 'daymark_service'),
    ('app.confirm_login(text,text)', 'f', 'v', true, 'pg_catalog, pg_temp', 'daymark_service'),
    ('app.delete_old_sessions(timestamp with time zone)', 'f', 'v', true, 'pg_catalog, pg_temp', 'daymark_service'),
    ('app.delete_pattern(date)', 'f', 'v', true, 'pg_catalog, pg_temp', 'daymark_service'),
    ('app.enter(uuid,uuid,text)', 'f', 'v', false, null, 'daymark_service'),
    ('app.find_login(text,text)', 'f', 's', true, 'pg_catalog, pg_temp', 'daymark_service'),
    ('app.forget_limits()', 'f', 'v', true, 'pg_catalog, pg_temp', 'daymark_service'),
    ('app.isolate(regclass)', 'p', 'v', false, '""', ''),
    ('app.lock_person()', 'f', 'v', true, 'pg_catalog, pg_temp', 'daymark_service'),
    ('app.pinned_context()', 'f', 's', true, 'pg_catalog, pg_temp', 'daymark_analyst, daymark_service'),
    ('app.refuse(text)', 'f', 's', false, '""', 'daymark_analyst, daymark_service'),
    ('app.refuse_session()', 'f', 's', false, '""', ''),
    ('app.session_lasts(uuid,uuid,uuid)', 'f', 's', true, 'pg_catalog, pg_temp', ''),
    -- Bound when they were made, and put in place of their calls: a search_path would only hinder that.
    ('app.claimed_reach()', 'f', 's', false, null, 'daymark_analyst, daymark_service'),
    ('app.reach()', 'f', 's', false, null, 'daymark_analyst, daymark_service'),
    ('app.role()', 'f', 's', false, null, 'daymark_analyst, daymark_service'),
    ('app.session_id()', 'f', 's', false, null, 'daymark_analyst, daymark_service'),
    ('app.tenant_id()', 'f', 's', false, null, 'daymark_analyst, daymark_service'),
    ('app.user_id()', 'f', 's', false, null, 'daymark_analyst, daymark_service'),
    ('app.verified_context()', 'f', 's', true, 'pg_catalog, pg_temp', 'daymark_analyst, daymark_service')
),

expected as (
    select
        signature,
        pg_catalog.jsonb_build_object(
            'kind', kind,
            'volatility', volatility,
            'definer', definer,
            'leakproof', false,
            'settings', pg_catalog.array_remove(array['search_path=' || search_path], null),
            'executors', executors
        ) as definition
    from listed
),

actual as (
    select
        called.oid::pg_catalog.regprocedure::text as signature,
        pg_catalog.jsonb_build_object(
            'kind', called.prokind,
            'volatility', called.provolatile,
            'definer', called.prosecdef,
            'leakproof', called.proleakproof,
            'settings', coalesce(called.proconfig, '{}'),
            'executors', (
                select coalesce(
                    pg_catalog.string_agg(
                        coalesce(role.rolname, 'PUBLIC')
                        || case when entry.is_grantable then ' WITH GRANT OPTION' else '' end,
                        ', ' order by role.rolname
                    ),
                    ''
                )
                from pg_catalog.aclexplode(
                    coalesce(called.proacl, pg_catalog.acldefault('f', called.proowner))
                ) as entry
                left join pg_catalog.pg_roles as role
                    on role.oid = entry.grantee
                where entry.grantee <> called.proowner
            )
        ) as definition
    from pg_catalog.pg_proc as called
    where called.pronamespace = 'app'::pg_catalog.regnamespace
)

select
    case
        when actual.signature is null then signature || ' is missing'
        when expected.signature is null then signature || ' is not listed'
        else signature || ' has another ' || (
            select pg_catalog.string_agg(
                pg_catalog.format('%s (%s, not %s)', key, actual.definition -> key, value), ', ' order by key
            )
            from pg_catalog.jsonb_each(expected.definition)
            where value <> actual.definition -> key
        )
    end as danger
from expected
full join actual
    using (signature)
where actual.definition is distinct from expected.definition;
