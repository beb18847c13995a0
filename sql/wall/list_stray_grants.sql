-- List rights of bound roles on anything outside schema app, granted to them or, where they can reach it, to PUBLIC.
-- For the administrator.
--
-- returns     danger text : a sentence for each

with recursive bound as (
    select
        oid,
        rolname
    from pg_catalog.pg_roles
    where rolname in ('daymark_service', 'daymark_analyst')

    union

    select
        member.oid,
        member.rolname
    from bound
    join pg_catalog.pg_auth_members as granted
        on granted.roleid = bound.oid
    join pg_catalog.pg_roles as member
        on member.oid = granted.member
    -- Who made the roles holds them.
    where member.oid is distinct from (select nspowner from pg_catalog.pg_namespace where nspname = 'app')
      -- Who made a role may only grant it further (16 and later): that alone binds nobody.
      and (
          coalesce((pg_catalog.to_jsonb(granted) ->> 'set_option')::boolean, true)
          or coalesce((pg_catalog.to_jsonb(granted) ->> 'inherit_option')::boolean, true)
      )
),

reachable as (
    select
        schema.oid,
        schema.nspname
    from pg_catalog.pg_namespace as schema
    where schema.nspname not in ('app', 'pg_catalog', 'information_schema', 'pg_toast')
      and exists (select from bound where pg_catalog.has_schema_privilege(bound.oid, schema.oid, 'usage'))
),

granted as (
    select
        bound.rolname,
        given.classid,
        given.objid,
        given.objsubid,
        coalesce(
            (select relnamespace from pg_catalog.pg_class where given.classid = tableoid and oid = given.objid),
            (select pronamespace from pg_catalog.pg_proc where given.classid = tableoid and oid = given.objid),
            (select oid from pg_catalog.pg_namespace where given.classid = tableoid and oid = given.objid)
        ) as namespace
    from pg_catalog.pg_shdepend as given
    join bound
        on bound.oid = given.refobjid
    where given.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass
      and given.deptype = 'a'
      and given.dbid in (0, (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()))
      -- Which databases they may enter is another check's matter.
      and given.classid <> 'pg_catalog.pg_database'::pg_catalog.regclass
)

select
    pg_catalog.format(
        '%s is granted rights on %s', rolname, pg_catalog.pg_describe_object(classid, objid, objsubid)
    ) as danger
from granted
where namespace is distinct from 'app'::pg_catalog.regnamespace

union all

select pg_catalog.format('everybody has rights on %s', relation.oid::pg_catalog.regclass)
from pg_catalog.pg_class as relation
join reachable
    on reachable.oid = relation.relnamespace
where exists (select from pg_catalog.aclexplode(relation.relacl) where grantee = 0)

union all

select pg_catalog.format('%s, which runs as its owner, is within their reach', called.oid::pg_catalog.regprocedure)
from pg_catalog.pg_proc as called
join reachable
    on reachable.oid = called.pronamespace
where called.prosecdef
  and exists (select from bound where pg_catalog.has_function_privilege(bound.oid, called.oid, 'execute'));
