-- List rights on the database and its schemas beyond connecting to the one and using schema app. For the
-- administrator.
--
-- returns     danger text : a sentence for each
--
-- Who can make a table, function or operator, if only a temporary one, can shadow a name or have the planner hand rows
-- to a function of their own.

with rights as (
    select
        'database ' || base.datname as object,
        base.datdba as owner,
        entry.grantee,
        entry.privilege_type,
        entry.is_grantable
    from pg_catalog.pg_database as base
    cross join pg_catalog.aclexplode(coalesce(base.datacl, pg_catalog.acldefault('d', base.datdba))) as entry
    where base.datname = pg_catalog.current_database()

    union all

    select
        'schema ' || schema.nspname,
        schema.nspowner,
        entry.grantee,
        entry.privilege_type,
        entry.is_grantable
    from pg_catalog.pg_namespace as schema
    cross join pg_catalog.aclexplode(coalesce(schema.nspacl, pg_catalog.acldefault('n', schema.nspowner))) as entry
    where schema.nspname not like 'pg\_temp\_%'
      and schema.nspname not like 'pg\_toast\_temp\_%'
),

actual as (
    select
        coalesce(role.rolname, 'PUBLIC') as grantee,
        rights.privilege_type || case when rights.is_grantable then ' WITH GRANT OPTION' else '' end as privilege,
        rights.object
    from rights
    left join pg_catalog.pg_roles as role
        on role.oid = rights.grantee
    where rights.grantee <> rights.owner
),

expected (grantee, privilege, object) as (
    values
    ('daymark_service', 'CONNECT', 'database ' || pg_catalog.current_database()),
    ('daymark_analyst', 'CONNECT', 'database ' || pg_catalog.current_database()),
    ('daymark_service', 'USAGE', 'schema app'),
    ('daymark_analyst', 'USAGE', 'schema app')
)

select pg_catalog.format('%s has %s on %s', grantee, privilege, object) as danger
from (
    select
        grantee,
        privilege,
        object
    from actual
    -- What strangers may do elsewhere is not this wall's matter.
    where object = 'schema app'
       or (object like 'database %' and (grantee = 'PUBLIC' or privilege <> 'CONNECT'))
       or (grantee = 'PUBLIC' and (object = 'schema public' or privilege = 'CREATE'))

    except

    select
        grantee,
        privilege,
        object
    from expected
) as unlisted

union all

select pg_catalog.format('%s lacks %s on %s', grantee, privilege, object)
from (
    select
        grantee,
        privilege,
        object
    from expected

    except

    select
        grantee,
        privilege,
        object
    from actual
) as missing;
