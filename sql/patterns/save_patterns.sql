-- Save a person's days; a day that is there already is replaced.
--
-- tenant_id     uuid         the caller's tenant
-- user_id       uuid         whose days
-- dates         date[]       the days, each once
-- energies      smallint[]   0 to 100, one for each day
-- focuses       smallint[]   0 to 100, one for each day
-- fulfillments  smallint[]   0 to 100, one for each day
-- now           timestamptz  when they were recorded
-- returns       created boolean : one row a day, false where it replaced another

insert into app.pattern_data (tenant_id, user_id, date, energy, focus, fulfillment, recorded_at)
select
    :'tenant_id'::uuid,
    :'user_id'::uuid,
    given.date,
    given.energy,
    given.focus,
    given.fulfillment,
    :'now'::timestamptz
from unnest(
    :'dates'::date[],
    :'energies'::smallint[],
    :'focuses'::smallint[],
    :'fulfillments'::smallint[]
) as given (date, energy, focus, fulfillment)
-- In order, so that two requests for the same days wait for each other rather than deadlock.
order by given.date
on conflict (tenant_id, user_id, date) do update
set energy = excluded.energy,
    focus = excluded.focus,
    fulfillment = excluded.fulfillment,
    recorded_at = excluded.recorded_at,
    revision = pattern_data.revision + 1
returning (revision = 1) as created;
