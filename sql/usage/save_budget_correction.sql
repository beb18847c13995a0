-- Save what a call really took in the place of what was set aside for it.
--
-- tenant_id   uuid    the caller's tenant
-- date        date    the day on which it was set aside, in UTC
-- calls       bigint  how many more calls than were set aside (mostly fewer: a negative number)
-- tokens      bigint  how many more tokens than were set aside (mostly fewer: a negative number)
-- uses        budget_use_pkey (an index)
-- returns     calls bigint, tokens bigint : used so far

update app.budget_use
set calls = greatest(calls + :'calls'::bigint, 0),
    tokens = greatest(tokens + :'tokens'::bigint, 0)
where tenant_id = :'tenant_id'
  and date = :'date'::date
returning calls, tokens;
