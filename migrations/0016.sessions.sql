-- The service's own way in: passwords, sessions, and the refresh tokens that keep a session going.

set lock_timeout = '5s';
set statement_timeout = '1min';

create table app.credentials (
    tenant_id     uuid        not null,
    user_id       uuid        not null,
    password_hash text        not null,
    changed_at    timestamptz not null,
    constraint credentials_pkey primary key (tenant_id, user_id),
    constraint credentials_user_fkey foreign key (tenant_id, user_id)
        references app.users (tenant_id, user_id) on delete cascade,
    constraint credentials_are_argon2id check (password_hash ~ '^\$argon2id\$' and length(password_hash) <= 255)
);
comment on table app.credentials is
    'Passwords, as argon2id (RFC 9106). Granted to nobody: app.find_login gives one out, for one who logs in';
call app.isolate('app.credentials');

create table app.sessions (
    tenant_id    uuid        not null,
    session_id   uuid        not null,
    user_id      uuid        not null,
    created_at   timestamptz not null,
    used_at      timestamptz not null,
    expires_at   timestamptz not null,
    ended_at     timestamptz,
    ended_reason text,
    address      text,
    agent        text,
    constraint sessions_pkey primary key (tenant_id, session_id),
    -- What a person has: to show, to end at once, and to forget. A refresh token refers to it, so that none can hang on
    -- another's session.
    constraint sessions_of_person unique (tenant_id, user_id, session_id),
    constraint sessions_user_fkey foreign key (tenant_id, user_id)
        references app.users (tenant_id, user_id) on delete cascade,
    -- All zeros is what a context without a session holds.
    constraint sessions_id_is_one check (session_id <> '00000000-0000-0000-0000-000000000000'),
    constraint sessions_ended_whole check ((ended_at is null) = (ended_reason is null)),
    constraint sessions_ended_reason_known check (ended_reason in (
        'logged_out', 'revoked', 'reused', 'password_changed', 'role_changed'
    )),
    constraint sessions_address_length check (length(address) <= 45),
    constraint sessions_agent_length check (length(agent) <= 200)
);
comment on table app.sessions is 'Logins that last: each statement of a token that belongs to one asks whether it still does';
comment on column app.sessions.used_at is 'When it was begun or last refreshed';
comment on column app.sessions.expires_at is 'From then on it cannot be refreshed any more; each refresh moves it on';
comment on column app.sessions.ended_at is 'From then on nothing is done in its name, whatever its tokens say';
comment on column app.sessions.agent is 'The User-Agent that it was begun with: how a person tells their sessions apart';

call app.isolate('app.sessions');

create table app.refresh_tokens (
    tenant_id  uuid        not null,
    token_hash bytea       not null,
    user_id    uuid        not null,
    session_id uuid        not null,
    issued_at  timestamptz not null,
    used_at    timestamptz,
    constraint refresh_tokens_pkey primary key (tenant_id, token_hash),
    constraint refresh_tokens_session_fkey foreign key (tenant_id, user_id, session_id)
        references app.sessions (tenant_id, user_id, session_id) on delete cascade,
    constraint refresh_tokens_hash_is_sha256 check (length(token_hash) = 32)
);
comment on table app.refresh_tokens is 'Each is good for one use; a session''s newest is the one that is not used yet';
comment on column app.refresh_tokens.token_hash is 'SHA-256 of the token, which itself is kept nowhere';
alter table app.refresh_tokens alter column token_hash set statistics 0;

create index refresh_tokens_of_session on app.refresh_tokens (tenant_id, session_id);
call app.isolate('app.refresh_tokens');

grant select,
    insert (tenant_id, session_id, user_id, created_at, used_at, expires_at, address, agent),
    update (used_at, expires_at, ended_at, ended_reason)
on app.sessions to daymark_service;
grant select,
    insert (tenant_id, token_hash, user_id, session_id, issued_at),
    update (used_at)
on app.refresh_tokens to daymark_service;
