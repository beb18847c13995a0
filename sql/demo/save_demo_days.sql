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

with people as (
    select
        tenant_id,
        user_id,
        email,
        hashtext(email) as self,
        (:'now'::timestamptz at time zone timezone)::date as today
    from app.users
    where tenant_id = :'tenant_id'::uuid
      and lower(email) = any(:'emails'::text[])
),

made_up as (
    select
        person.tenant_id,
        person.user_id,
        person.today - back as date,
        person.self,
        hashtext(person.email || back) as noise,
        back
    from people as person
    -- Looked for in the window alone, so that the partitions of all other months are left alone.
    cross join lateral (
        select max(recorded.date) as date
        from app.pattern_data as recorded
        where recorded.tenant_id = person.tenant_id
          and recorded.user_id = person.user_id
          and recorded.date > person.today - :'days'::integer
          and recorded.date <= person.today
    ) as newest
    -- least() leaves out a null: of a person without days all of them are new.
    cross join lateral generate_series(0, least(:'days'::integer, person.today - newest.date) - 1) as back
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
    -- A day at a time, as in life: a person's days lie on as many pages, and to read them costs what it costs there.
    order by date, user_id
    returning 1
)

select count(*) as saved from saved;
