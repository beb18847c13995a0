-- List a person's recorded days in a window, oldest first.
--
-- tenant_id   uuid         the caller's tenant
-- user_id     uuid         whose days
-- until       text         the window's last day (YYYY-MM-DD), or '' for today where the person lives
-- now         timestamptz  what today is worked out from
-- days        integer      how many days the window has, 1 to 90
-- known       text[]       revisions whose rows the caller has: of these comes one row that only names it
-- uses        pattern_data_pkey (an index, of the window's months only)
-- returns     revision text, date date, energy smallint, focus smallint, fulfillment smallint

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
),

recorded as materialized (
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
    order by recorded.date
),

-- Of all that is told: a window that moved on by a day without a record has the same revision, and the same answer.
-- The date as a number, which no setting spells differently.
revised as (
    select md5(string_agg(concat_ws(' ', date - date '2000-01-01', energy, focus, fulfillment), ',')) as revision
    from recorded
    having count(*) > 0
)

select
    revised.revision,
    recorded.date,
    recorded.energy,
    recorded.focus,
    recorded.fulfillment
from revised
left join recorded on revised.revision <> all (:'known'::text[]);
