-- List rights on the tables, columns and views of schema app that are not listed here, and listed ones that are
-- missing. For the administrator.
--
-- returns     danger text : a sentence for each
--
-- Nothing is granted on a partition, nothing to PUBLIC, and no right to change a whole table: that would be one to
-- lock it.

with listed (relation, grantee, privilege, columns) as (
    values
    ('tenants', 'daymark_service', 'SELECT', ''),
    ('tenants', 'daymark_analyst', 'SELECT', ''),
    ('users', 'daymark_service', 'SELECT', ''),
    ('users', 'daymark_service', 'INSERT', 'tenant_id user_id'),
    ('users', 'daymark_analyst', 'SELECT', ''),
    ('pattern_data', 'daymark_service', 'SELECT', ''),
    (
        'pattern_data', 'daymark_service', 'INSERT',
        'tenant_id user_id date energy focus fulfillment recorded_at'
    ),
    ('pattern_data', 'daymark_service', 'UPDATE', 'energy focus fulfillment recorded_at revision'),
    ('pattern_data', 'daymark_analyst', 'SELECT', ''),
    ('user_recommendations', 'daymark_service', 'SELECT', ''),
    (
        'user_recommendations', 'daymark_service', 'INSERT',
        'tenant_id id user_id generated_at position engine recommendation reasoning data_point based_on topic fallback cleared_at'
    ),
    ('user_recommendations', 'daymark_service', 'UPDATE', 'viewed_at helpful note judged_at cleared_at'),
    ('user_recommendations', 'daymark_analyst', 'SELECT', ''),
    ('recommendation_runs', 'daymark_service', 'SELECT', ''),
    (
        'recommendation_runs', 'daymark_service', 'INSERT',
        'tenant_id run_id user_id reason started_at lease_until engine model prompt_version based_on'
    ),
    (
        'recommendation_runs', 'daymark_service', 'UPDATE',
        'outcome finished_at given calls tokens_in tokens_out cost duration_ms'
    ),
    ('recommendation_runs', 'daymark_analyst', 'SELECT', ''),
    ('budget_use', 'daymark_service', 'SELECT', ''),
    ('budget_use', 'daymark_service', 'INSERT', 'tenant_id date calls tokens'),
    ('budget_use', 'daymark_service', 'UPDATE', 'calls tokens'),
    ('budget_use', 'daymark_analyst', 'SELECT', ''),
    ('sessions', 'daymark_service', 'SELECT', ''),
    (
        'sessions', 'daymark_service', 'INSERT',
        'tenant_id session_id user_id created_at used_at expires_at address agent'
    ),
    ('sessions', 'daymark_service', 'UPDATE', 'used_at expires_at ended_at ended_reason'),
    ('refresh_tokens', 'daymark_service', 'SELECT', ''),
    ('refresh_tokens', 'daymark_service', 'INSERT', 'tenant_id token_hash user_id session_id issued_at'),
    ('refresh_tokens', 'daymark_service', 'UPDATE', 'used_at'),
    ('audit_events', 'daymark_service', 'SELECT', ''),
    ('audit_events', 'daymark_service', 'INSERT', 'tenant_id user_id occurred_at kind session_id address detail'),
    ('rate_limits', 'daymark_service', 'SELECT', ''),
    ('rate_limits', 'daymark_service', 'INSERT', 'tenant_id subject used ends_at'),
    ('rate_limits', 'daymark_service', 'UPDATE', 'used ends_at'),
    ('daily_averages', 'daymark_service', 'SELECT', ''),
    ('daily_averages', 'daymark_analyst', 'SELECT', ''),
    ('engine_use', 'daymark_service', 'SELECT', ''),
    ('engine_use', 'daymark_analyst', 'SELECT', ''),
    ('cache_hits', 'daymark_service', 'SELECT', ''),
    ('cache_hits', 'daymark_analyst', 'SELECT', '')
),

expected as (
    select
        listed.relation || coalesce('.' || nullif(part, ''), '') as object,
        listed.grantee,
        listed.privilege
    from listed
    cross join pg_catalog.regexp_split_to_table(listed.columns, ' ') as part
),

relations as (
    select
        oid,
        relname,
        relowner,
        coalesce(
            relacl, pg_catalog.acldefault(case relkind when 'S' then 's' else 'r' end::"char", relowner)
        ) as rights
    from pg_catalog.pg_class
    where relnamespace = 'app'::pg_catalog.regnamespace
      and relkind in ('r', 'p', 'v', 'm', 'f', 'S')
),

held as (
    select
        relations.relname as object,
        relations.relowner,
        entry.grantee,
        entry.privilege_type,
        entry.is_grantable
    from relations
    cross join pg_catalog.aclexplode(relations.rights) as entry

    union all

    select
        relations.relname || '.' || part.attname,
        relations.relowner,
        entry.grantee,
        entry.privilege_type,
        entry.is_grantable
    from relations
    join pg_catalog.pg_attribute as part
        on part.attrelid = relations.oid
    cross join pg_catalog.aclexplode(part.attacl) as entry
),

actual as (
    select
        held.object,
        coalesce(role.rolname, 'PUBLIC') as grantee,
        held.privilege_type || case when held.is_grantable then ' WITH GRANT OPTION' else '' end as privilege
    from held
    left join pg_catalog.pg_roles as role
        on role.oid = held.grantee
    where held.grantee <> held.relowner
)

select pg_catalog.format('%s has %s on app.%s', grantee, privilege, object) as danger
from (select grantee, privilege, object from actual except select grantee, privilege, object from expected) as unlisted

union all

select pg_catalog.format('%s lacks %s on app.%s', grantee, privilege, object)
from (select grantee, privilege, object from expected except select grantee, privilege, object from actual) as missing;
