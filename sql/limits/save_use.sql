-- Save that a subject uses its limit, and give it as much of what it wants as is left in its window.
--
-- tenant_id  uuid     the caller's tenant; all zeros for whoever is nobody yet
-- subject    bytea    whose limit it is: 32 bytes
-- wanted     bigint   how many uses
-- most       bigint   how many there may be in a window
-- seconds    integer  how long a window is, from its first use on
-- returns    granted bigint, remaining bigint, ends_in float8 : of what is wanted; still to be had; seconds
--
-- What is asked for beyond the limit counts as used, so that what was granted can be told from the sum: whoever asked
-- before has either all of it or the rest. Whoever waits for another's row then finds its newest sum, so no two are
-- granted the same use.

insert into app.rate_limits (tenant_id, subject, used, ends_at)
values (
    :'tenant_id'::uuid,
    :'subject'::bytea,
    :'wanted'::bigint,
    statement_timestamp() + make_interval(secs => :'seconds'::integer)
)
on conflict (tenant_id, subject) do update
set used = excluded.used + case when rate_limits.ends_at > statement_timestamp() then rate_limits.used else 0 end,
    ends_at = case when rate_limits.ends_at > statement_timestamp() then rate_limits.ends_at else excluded.ends_at end
returning
    greatest(0, least(:'wanted'::bigint, :'most'::bigint - (used - :'wanted'::bigint))) as granted,
    greatest(0, :'most'::bigint - used) as remaining,
    extract(epoch from ends_at - clock_timestamp())::double precision as ends_in;
