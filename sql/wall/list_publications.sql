-- List publications that carry rows of schema app, of all tenants, out of this database. For the administrator.
--
-- returns     danger text : a sentence for each

select pg_catalog.format('publication %s carries %s.%s', pubname, schemaname, tablename) as danger
from pg_catalog.pg_publication_tables
where schemaname = 'app';
