-- Save that calls are about to be made, and set aside what they may take, if the tenant's budget of the day allows it.
--
-- tenant_id    uuid    the caller's tenant
-- date         date    the day, in UTC
-- calls        bigint  the most that there may be
-- tokens       bigint  the most that they may take
-- most_calls   bigint  a day, where the tenant has no number of its own
-- most_tokens  bigint  a day, where the tenant has no number of its own
-- returns      calls bigint, tokens bigint : used so far, these included; no row where the budget does not allow it

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
    :'calls'::bigint,
    :'tokens'::bigint
from budget
where budget.calls >= :'calls'::bigint
  and budget.tokens >= :'tokens'::bigint
on conflict (tenant_id, date) do update
set calls = budget_use.calls + excluded.calls,
    tokens = budget_use.tokens + excluded.tokens
where budget_use.calls + excluded.calls <= (select budget.calls from budget)
  and budget_use.tokens + excluded.tokens <= (select budget.tokens from budget)
returning budget_use.calls, budget_use.tokens;
