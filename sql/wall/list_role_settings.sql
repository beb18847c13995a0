-- List settings kept for a role or a database that change what a name means, who is asking, or what is loaded. For
-- the administrator.
--
-- returns     danger text : a sentence for each
--
-- A role may ALTER ROLE itself, and so may an injected statement: what it keeps there greets every later connection.
-- For a bound role only limits are listed, and for an analyst also where their psql looks names up.

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

kept as (
    select
        setting.setrole,
        role.rolname,
        pg_catalog.split_part(entry, '=', 1) as name
    from pg_catalog.pg_db_role_setting as setting
    cross join unnest(setting.setconfig) as entry
    left join pg_catalog.pg_roles as role
        on role.oid = setting.setrole
    left join pg_catalog.pg_database as base
        on base.oid = setting.setdatabase
    where setting.setdatabase = 0
       or base.datname = pg_catalog.current_database()
)

select pg_catalog.format('%s keeps %s', kept.rolname, kept.name) as danger
from kept
join bound
    on bound.oid = kept.setrole
where kept.name not in (
          'statement_timeout', 'lock_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout',
          'idle_session_timeout', 'application_name', 'TimeZone'
      )
  and not (
      kept.rolname <> 'daymark_service'
      and kept.name in ('search_path', 'default_transaction_read_only', 'work_mem')
  )

union all

select 'every connection to this database starts with ' || name
from kept
where setrole = 0
  and (
      name like 'app.%'
      or name like '%preload_libraries'
      or name in ('role', 'session_authorization', 'row_security', 'session_replication_role', 'lo_compat_privileges')
  );
