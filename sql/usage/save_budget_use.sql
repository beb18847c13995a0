-- Save that a call is about to be made, and set aside what it may take, if the tenant's budget of the day allows it.
--
-- tenant_id    uuid    the caller's tenant
-- date         date    the day, in UTC
-- tokens       bigint  the most that the call may take
-- most_calls   bigint  a day, where the tenant has no number of its own
-- most_tokens  bigint  a day, where the tenant has no number of its own
-- returns      calls bigint, tokens bigint : used so far, this call included; no row where the budget does not allow it

with budget as (
    select
        coalesce(daily_calls, :'most_calls'::bigint) as calls,
        coalesce(daily_tokens, :'most_tokens'::bigint) as tokens
    from app.tenants
    where tenant_id = :'tenant_id'
)

insert into app.budget_use (tenant_id, date, calls, tokens)
select
    :'tenant_id'::uuid,
    :'date'::date,
    1,
    :'tokens'::bigint
from budget
where budget.calls >= 1
  and budget.tokens >= :'tokens'::bigint
on conflict (tenant_id, date) do update
set calls = budget_use.calls + 1,
    tokens = budget_use.tokens + excluded.tokens
where budget_use.calls < (select budget.calls from budget)
  and budget_use.tokens + excluded.tokens <= (select budget.tokens from budget)
returning budget_use.calls, budget_use.tokens;
