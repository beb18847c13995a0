-- List the users of a tenant whom ids or e-mail addresses name, and what day it is where each lives. For the administrator.
--
-- tenant_id   uuid         the users' tenant
-- ids         uuid[]       some of them by id
-- emails      text[]       others by e-mail address, in any case
-- now         timestamptz  what today is worked out from
-- uses        users_pkey, users_email_key (indexes, once a name)
-- returns     named text, user_id uuid, today date : one row for each name that is somebody's

with person as (
    select
        given.id::text as named,
        found.user_id,
        found.timezone
    from unnest(:'ids'::uuid[]) as given (id)
    cross join lateral (
        select user_id, timezone
        from app.users
        where tenant_id = :'tenant_id'::uuid
          and user_id = given.id
        -- Changes nothing, as there is one at most, but for this: however many names, nobody else is read.
        limit 1
    ) as found
    union all
    select
        given.email,
        found.user_id,
        found.timezone
    from unnest(:'emails'::text[]) as given (email)
    cross join lateral (
        select user_id, timezone
        from app.users
        where tenant_id = :'tenant_id'::uuid
          and lower(email) = lower(given.email)
        limit 1
    ) as found
)

select
    named,
    user_id,
    (:'now'::timestamptz at time zone timezone)::date as today
from person;
