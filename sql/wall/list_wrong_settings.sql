-- List settings of the server, or of this database, that take the wall's foundations away. For the administrator.
--
-- returns     danger text : a sentence for each

select pg_catalog.format('%s is %s, not %s', setting.name, setting.setting, wanted.value) as danger
from pg_catalog.pg_settings as setting
join (
    values
    ('row_security', 'on'),
    ('session_replication_role', 'origin'),
    ('allow_system_table_mods', 'off'),
    ('lo_compat_privileges', 'off')
) as wanted (name, value)
    on wanted.name = setting.name
where setting.setting <> wanted.value;
