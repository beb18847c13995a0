-- Find a tenant's budget of AI for a day, and what it has used of it.
--
-- tenant_id    uuid    the caller's tenant
-- date         date    the day, in UTC
-- most_calls   bigint  a day, where the tenant has no number of its own
-- most_tokens  bigint  a day, where the tenant has no number of its own
-- uses         budget_use_pkey (an index)
-- returns      calls bigint, tokens bigint, used_calls bigint, used_tokens bigint : no row for an unknown tenant

select
    coalesce(tenant.daily_calls, :'most_calls'::bigint) as calls,
    coalesce(tenant.daily_tokens, :'most_tokens'::bigint) as tokens,
    coalesce(used.calls, 0) as used_calls,
    coalesce(used.tokens, 0) as used_tokens
from app.tenants as tenant
left join app.budget_use as used
    on used.tenant_id = tenant.tenant_id
    and used.date = :'date'::date
where tenant.tenant_id = :'tenant_id';
