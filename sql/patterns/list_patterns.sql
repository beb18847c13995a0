-- List a person's recorded days in a window, oldest first.
--
-- tenant_id   uuid         the caller's tenant
-- user_id     uuid         whose days
-- until       text         the window's last day (YYYY-MM-DD), or '' for today where the person lives
-- now         timestamptz  what today is worked out from
-- days        integer      how many days the window has, 1 to 90
-- uses        pattern_data_pkey (an index, of the window's months only)
-- returns     date date, energy smallint, focus smallint, fulfillment smallint

with newest as (
    select coalesce(
        nullif(:'until'::text, '')::date,
        -- A person whom only a token has told us of has no row, and so no time zone, yet.
        (:'now'::timestamptz at time zone coalesce(
            (
                select person.timezone
                from app.users as person
                where person.tenant_id = :'tenant_id'
                  and person.user_id = :'user_id'
            ),
            'UTC'
        ))::date
    ) as day
)

select
    recorded.date,
    recorded.energy,
    recorded.focus,
    recorded.fulfillment
from app.pattern_data as recorded
where recorded.tenant_id = :'tenant_id'
  and recorded.user_id = :'user_id'
  and recorded.date > (select newest.day from newest) - :'days'::integer
  and recorded.date <= (select newest.day from newest)
order by recorded.date;
