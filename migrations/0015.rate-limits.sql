-- How much of a limit each subject has used in its present window: a person's requests, an account's tries to log in.

set lock_timeout = '5s';
set statement_timeout = '1min';

-- Unlogged: after a crash everybody starts anew, and no use costs a write of WAL. A row is changed often and its key
-- never, so half of each page is left for its next versions. A row is over with its window, whatever its tenant then
-- is: there is no foreign key to be checked with every use.
create unlogged table app.rate_limits (
    tenant_id uuid        not null,
    subject   bytea       not null,
    used      bigint      not null,
    ends_at   timestamptz not null,
    constraint rate_limits_pkey primary key (tenant_id, subject),
    constraint rate_limits_subject_is_a_digest check (length(subject) = 32),
    constraint rate_limits_used_counted check (used >= 0)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);
comment on table app.rate_limits is
    'What each subject has used of its limit; who is nobody yet (a login) is under the tenant that is all zeros';
comment on column app.rate_limits.subject is
    'A digest under a key that only the service holds: no e-mail, no address and no id is to be had from it';
comment on column app.rate_limits.used is 'Uses asked for in this window, those refused included';
comment on column app.rate_limits.ends_at is 'By the database''s clock: from then on the next use begins a new window';

call app.isolate('app.rate_limits');

-- As of text: whose digests are common would say whose limits are used.
alter table app.rate_limits alter column subject set statistics 0;

grant select, insert (tenant_id, subject, used, ends_at), update (used, ends_at) on app.rate_limits to daymark_service;

-- Rows whose windows are over, of all tenants: so nobody needs the right to DELETE, which is the right to LOCK the table
-- for every tenant. It says nothing of how many there were. A row that somebody is using just now is left alone.
create function app.forget_limits() returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    with finished as (
        select tenant_id, subject
        from app.rate_limits
        where ends_at <= clock_timestamp()
        limit 10000
        for update skip locked
    )

    delete from app.rate_limits
    using finished
    where rate_limits.tenant_id = finished.tenant_id
      and rate_limits.subject = finished.subject;
end
$$;
comment on function app.forget_limits() is 'Delete some of the rows whose windows are over';

grant execute on function app.forget_limits() to daymark_service;
