-- Save a tenant's daily budget of AI. For the administrator.
--
-- tenant_id   uuid    the tenant
-- calls       text    calls a day, or 'default' for as many as the service's settings say, or '' to leave them alone
-- tokens      text    tokens a day, likewise
-- returns     daily_calls bigint, daily_tokens bigint : as they are now; no row where there is no such tenant

update app.tenants
set daily_calls = case
        when :'calls'::text = '' then daily_calls
        else nullif(nullif(:'calls'::text, 'default'), '')::bigint
    end,
    daily_tokens = case
        when :'tokens'::text = '' then daily_tokens
        else nullif(nullif(:'tokens'::text, 'default'), '')::bigint
    end
where tenant_id = :'tenant_id'
returning daily_calls, daily_tokens;
