-- List policies in schema app that are missing, altered or hand-made, measured by what app.isolate spells. For the
-- administrator.
--
-- returns     danger text : a sentence for each
--
-- Written out here once more and not taken from app.isolate: a procedure that was altered would vouch for itself. With
-- another search_path than '' the conditions would read differently.

with isolated as (
    select
        relation.oid,
        exists (
            select from pg_catalog.pg_attribute
            where attrelid = relation.oid and attname = 'user_id' and not attisdropped
        ) as has_user
    from pg_catalog.pg_class as relation
    join pg_catalog.pg_attribute as tenant
        on tenant.attrelid = relation.oid
    where relation.relnamespace = 'app'::pg_catalog.regnamespace
      and relation.relkind in ('r', 'p')
      and tenant.attname = 'tenant_id'
),

conditions (within_tenant, within_reach, own) as (
    values
    (
        e'((tenant_id, true) = ( SELECT app.tenant_id() AS tenant_id,\n    true))',
        e'((tenant_id,\nCASE\n    WHEN (( SELECT app.claimed_reach() AS claimed_reach) = \'own\'::text) THEN user_id\n'
            || e'    ELSE \'00000000-0000-0000-0000-000000000000\'::uuid\nEND, true) = ( SELECT reach.tenant_id,\n'
            || e'    reach.user_id,\n    true\n   FROM app.reach() reach(tenant_id, user_id)))',
        '(user_id = ( SELECT app.user_id() AS user_id))'
    )
),

spelled as (
    select
        policy.name,
        policy.with_user,
        policy.permissive,
        policy.command,
        policy.roles,
        policy.using_,
        policy.check_
    from conditions
    cross join lateral (
        values
        ('tenant_floor', true, false, '*', 'public', within_reach, within_reach),
        ('readable_rows', true, true, 'r', 'daymark_service', within_reach, null),
        ('analyst_rows', true, true, 'r', 'daymark_analyst', within_reach, null),
        ('own_inserts', true, true, 'a', 'daymark_service', null, own),
        (
            'own_updates', true, true, 'w', 'daymark_service',
            e'((user_id, true) = ( SELECT app.user_id() AS user_id,\n    true))', own
        ),
        ('tenant_floor', false, false, '*', 'public', within_tenant, within_tenant),
        ('tenant_rows', false, true, '*', 'daymark_service', within_tenant, within_tenant),
        ('analyst_rows', false, true, 'r', 'daymark_analyst', within_tenant, null)
    ) as policy (name, with_user, permissive, command, roles, using_, check_)
),

expected as (
    select
        isolated.oid,
        spelled.name,
        pg_catalog.to_jsonb(spelled) - 'with_user' as definition
    from isolated
    join spelled
        on spelled.with_user = isolated.has_user
),

actual as (
    select
        policy.polrelid as oid,
        policy.polname::text as name,
        pg_catalog.jsonb_build_object(
            'name', policy.polname,
            'permissive', policy.polpermissive,
            'command', policy.polcmd,
            'roles', (
                select pg_catalog.string_agg(coalesce(role.rolname, 'public'), ', ' order by role.rolname)
                from unnest(policy.polroles) as given (oid)
                left join pg_catalog.pg_roles as role
                    on role.oid = given.oid
            ),
            'using_', pg_catalog.pg_get_expr(policy.polqual, policy.polrelid),
            'check_', pg_catalog.pg_get_expr(policy.polwithcheck, policy.polrelid)
        ) as definition
    from pg_catalog.pg_policy as policy
    join pg_catalog.pg_class as relation
        on relation.oid = policy.polrelid
    where relation.relnamespace = 'app'::pg_catalog.regnamespace
)

select
    pg_catalog.format(
        case
            when actual.name is null then '%s lacks policy %s'
            when expected.name is null then '%s has a hand-made policy, %s'
            else '%s has policy %s, but not as app.isolate spells it'
        end,
        oid::pg_catalog.regclass,
        name
    ) as danger
from expected
full join actual
    using (oid, name)
where actual.definition is distinct from expected.definition;
