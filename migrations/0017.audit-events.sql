-- The audit trail: who came in, went out, or was kept out. The service adds to it, and can neither change nor remove.

set lock_timeout = '5s';
set statement_timeout = '1min';

create table app.audit_events (
    tenant_id   uuid        not null,
    event_id    uuid        not null default gen_random_uuid(),
    user_id     uuid        not null,
    occurred_at timestamptz not null,
    kind        text        not null,
    session_id  uuid,
    address     text,
    detail      jsonb       not null default '{}',
    constraint audit_events_pkey primary key (tenant_id, event_id),
    constraint audit_events_tenant_fkey foreign key (tenant_id) references app.tenants (tenant_id) on delete cascade,
    constraint audit_events_kind_known check (kind in (
        'logged_in', 'login_failed', 'refreshed', 'refresh_superseded', 'refresh_reused', 'logged_out',
        'session_revoked', 'password_changed', 'role_changed'
    )),
    constraint audit_events_address_length check (length(address) <= 45)
);
comment on column app.audit_events.user_id is
    'Whose account it is about; not a foreign key, since it outlives them. 00000000-0000-0000-0000-000000000001: nobody''s,'
    ' someone tried an e-mail address that no user has';

-- A tenant's newest, page by page.
create index audit_events_newest on app.audit_events (tenant_id, occurred_at desc, event_id desc);
call app.isolate('app.audit_events');

grant select, insert (tenant_id, user_id, occurred_at, kind, session_id, address, detail)
on app.audit_events to daymark_service;
