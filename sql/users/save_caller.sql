-- Save the caller as a user of their tenant where the database does not know them yet, and find what day it is there.
--
-- tenant_id   uuid         the caller's tenant
-- user_id     uuid         the caller
-- now         timestamptz  what today is worked out from
-- returns     today date : by the person's own time zone, UTC for somebody new

with created as (
    insert into app.users (tenant_id, user_id)
    values (:'tenant_id', :'user_id')
    on conflict (tenant_id, user_id) do nothing
    returning timezone
),

person as (
    select timezone from created
    union all
    select timezone
    from app.users
    where tenant_id = :'tenant_id'
      and user_id = :'user_id'
)

-- Somebody else's first write may have made the row after this statement began: they too have no time zone but UTC.
select (:'now'::timestamptz at time zone coalesce((select timezone from person), 'UTC'))::date as today;
