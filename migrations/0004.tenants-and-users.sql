-- Tenants, and the people in them.

set lock_timeout = '5s';
set statement_timeout = '1min';

create table app.tenants (
    tenant_id  uuid        not null default gen_random_uuid(),
    slug       text        not null,
    name       text        not null,
    created_at timestamptz not null default now(),
    constraint tenants_pkey primary key (tenant_id),
    constraint tenants_slug_is_a_label check (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
    -- The command line takes an id or a slug: nothing may be both.
    constraint tenants_slug_is_no_id check (slug !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'),
    constraint tenants_name_length check (length(name) between 1 and 200)
);
call app.isolate('app.tenants');

-- A slug is unique among all tenants, so the tenant cannot lead this index. It stands on an expression whose function
-- is not leakproof: under row security such a condition is never looked up in an index, so nobody can ask this one
-- for another tenant's slug (with a plain index on slug, EXPLAIN ANALYZE would tell). It keeps no statistics either.
create unique index tenants_slug_key on app.tenants (lower(slug));
alter index app.tenants_slug_key alter column 1 set statistics 0;

create table app.users (
    tenant_id  uuid        not null,
    user_id    uuid        not null default gen_random_uuid(),
    email      text,
    role       text        not null default 'member',
    timezone   text        not null default 'UTC',
    created_at timestamptz not null default now(),
    constraint users_pkey primary key (tenant_id, user_id),
    constraint users_tenant_fkey foreign key (tenant_id) references app.tenants (tenant_id) on delete cascade,
    constraint users_email_is_an_address check (email ~ '^[^\s@]+@[^\s@]+$' and length(email) <= 254),
    constraint users_role_known check (role in ('member', 'admin')),
    -- Postgres itself raises 22023 on a zone it does not know; the pattern keeps out what it would take for a POSIX
    -- rule of one's own ("Nowhere+25").
    constraint users_timezone_known check (
        timezone ~ '^[A-Za-z_]+(/[A-Za-z0-9_+-]+)*$'
        and (timestamptz '2000-01-01 00:00:00+00' at time zone timezone) is not null
    )
);
comment on column app.users.email is 'NULL for a person whom the service has met only by a verified token';
comment on column app.users.timezone is 'IANA name: whose midnight a day of theirs ends at';

create unique index users_email_key on app.users (tenant_id, lower(email));
alter index app.users_email_key alter column 2 set statistics 0;
call app.isolate('app.users');

grant select on app.tenants to daymark_service;
grant select, insert (tenant_id, user_id) on app.users to daymark_service;
