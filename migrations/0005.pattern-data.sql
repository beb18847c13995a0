-- The scores: one row a person a day, kept in one partition a month.

set lock_timeout = '5s';
set statement_timeout = '1min';

create table app.pattern_data (
    tenant_id   uuid        not null,
    user_id     uuid        not null,
    date        date        not null,
    -- squawk-ignore prefer-bigint-over-smallint -- the checks below hold a score between 0 and 100
    energy      smallint    not null,
    -- squawk-ignore prefer-bigint-over-smallint -- likewise
    focus       smallint    not null,
    -- squawk-ignore prefer-bigint-over-smallint -- likewise
    fulfillment smallint    not null,
    recorded_at timestamptz not null default now(),
    revision    bigint      not null default 1,
    constraint pattern_data_pkey primary key (tenant_id, user_id, date),
    constraint pattern_data_user_fkey foreign key (tenant_id, user_id)
        references app.users (tenant_id, user_id) on delete cascade,
    constraint pattern_data_energy_range check (energy between 0 and 100),
    constraint pattern_data_focus_range check (focus between 0 and 100),
    constraint pattern_data_fulfillment_range check (fulfillment between 0 and 100)
) partition by range (date);
comment on column app.pattern_data.revision is '1 as first recorded, one more each time the day is replaced';
comment on column app.pattern_data.date is 'The day as the person''s own calendar has it (users.timezone)';
call app.isolate('app.pattern_data');

-- Whatever no month takes lands here, so that nothing is ever lost.
create table app.pattern_data_default partition of app.pattern_data default;
call app.isolate('app.pattern_data_default');

-- Makes the months from one date's to another's that are missing. Rows that waited in the default partition for
-- their month move into it, inside the same transaction: a reader sees them in the one or the other, never in neither.
create procedure app.add_partitions(first_day date, last_day date)
language plpgsql
set search_path = ''
as $$
declare
    month date;
    partition text;
begin
    for month in
        select generated::date
        from pg_catalog.generate_series(
            pg_catalog.date_trunc('month', first_day::timestamp),
            pg_catalog.date_trunc('month', last_day::timestamp),
            interval '1 month'
        ) as generated
    loop
        partition := 'pattern_data_' || pg_catalog.to_char(month, 'YYYY_MM');
        continue when pg_catalog.to_regclass('app.' || partition) is not null;

        -- Nobody may put a day of this month into the default partition between the move and the attachment. Attaching
        -- locks users as well (the foreign key's triggers): first, as whoever stores a day writes there first.
        lock table app.users in share row exclusive mode;
        lock table app.pattern_data_default in access exclusive mode;
        -- Somebody else may have made it while we waited.
        continue when pg_catalog.to_regclass('app.' || partition) is not null;

        execute pg_catalog.format('create table app.%I (like app.pattern_data including all)', partition);
        execute pg_catalog.format(
            'with moved as (delete from app.pattern_data_default where date >= %L and date < %L returning *)'
            ' insert into app.%I select moved.* from moved',
            month, month + interval '1 month', partition);
        execute pg_catalog.format(
            'alter table app.pattern_data attach partition app.%I for values from (%L) to (%L)',
            partition, month, (month + interval '1 month')::date);
        execute pg_catalog.format('call app.isolate(%L)', 'app.' || partition);
    end loop;
end
$$;
comment on procedure app.add_partitions(date, date) is 'Make the missing months of app.pattern_data; `daymark migrate up` calls it';

grant select,
    insert (tenant_id, user_id, date, energy, focus, fulfillment, recorded_at),
    update (energy, focus, fulfillment, recorded_at, revision),
    delete
on app.pattern_data to daymark_service;
