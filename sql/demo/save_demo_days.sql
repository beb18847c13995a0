-- Save made-up scores for the last days of some users of a tenant. For the administrator.
--
-- tenant_id   uuid         the users' tenant
-- emails      text[]       whose days
-- days        integer      how many days, the last of them today by each person's own calendar
-- now         timestamptz  what today is worked out from
-- uses        pattern_data_pkey (an index, to find each person's newest day)
-- returns     saved bigint : how many days are new
--
-- Only days after a person's newest are made, so what somebody changed or deleted since stays as they left it.
-- The figures look like a person's: a level of one's own, a slow wave, and a little noise. They are worked out from
-- the user's address and the day, so the same person has the same days on every machine.

with made_up as (
    select
        person.tenant_id,
        person.user_id,
        (:'now'::timestamptz at time zone person.timezone)::date - back as date,
        hashtext(person.email) as self,
        hashtext(person.email || back) as noise,
        back,
        (
            select max(recorded.date)
            from app.pattern_data as recorded
            where recorded.tenant_id = person.tenant_id
              and recorded.user_id = person.user_id
        ) as newest
    from app.users as person
    cross join generate_series(0, :'days'::integer - 1) as back
    where person.tenant_id = :'tenant_id'::uuid
      and lower(person.email) = any(:'emails'::text[])
),

saved as (
    insert into app.pattern_data (tenant_id, user_id, date, energy, focus, fulfillment, recorded_at)
    select
        tenant_id,
        user_id,
        date,
        round(62 + self % 12 + 14 * sin((back + self % 5) / 3.0) + noise % 5),
        round(64 + self % 10 + 12 * sin((back + self % 7) / 4.0) + noise / 8 % 6),
        round(70 + self % 8 + 10 * sin((back + self % 3) / 5.0) + noise / 64 % 7),
        :'now'::timestamptz
    from made_up
    where newest is null
       or date > newest
    returning 1
)

select count(*) as saved from saved;
