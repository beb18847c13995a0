-- List the last days of those of some users of a tenant who never had recommendations. For the administrator.
--
-- tenant_id   uuid         the users' tenant
-- emails      text[]       whose days
-- days        integer      how many days, the last of them today by each person's own calendar
-- now         timestamptz  what today is worked out from
-- uses        pattern_data_pkey, user_recommendations_newest (indexes)
-- returns     user_id uuid, dates date[], energies smallint[], focuses smallint[], fulfillments smallint[] : oldest day
--             first, no row for who has none

with people as (
    select
        tenant_id,
        user_id,
        (:'now'::timestamptz at time zone timezone)::date as today
    from app.users
    where tenant_id = :'tenant_id'::uuid
      and lower(email) = any(:'emails'::text[])
)

select
    person.user_id,
    array_agg(recorded.date order by recorded.date) as dates,
    array_agg(recorded.energy order by recorded.date) as energies,
    array_agg(recorded.focus order by recorded.date) as focuses,
    array_agg(recorded.fulfillment order by recorded.date) as fulfillments
from people as person
cross join lateral (
    select
        date,
        energy,
        focus,
        fulfillment
    from app.pattern_data
    where tenant_id = person.tenant_id
      and user_id = person.user_id
      and date > person.today - :'days'::integer
      and date <= person.today
) as recorded
-- Asked person by person, and not by `not exists`: as long as there are no statistics, that would read all there is.
where (
    select given.id
    from app.user_recommendations as given
    where given.tenant_id = person.tenant_id
      and given.user_id = person.user_id
    limit 1
) is null
group by person.user_id;
