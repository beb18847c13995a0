-- Save that a subject gives one use of its limit back.
--
-- tenant_id  uuid    the caller's tenant; all zeros for whoever is nobody yet
-- subject    bytea   whose limit it is: 32 bytes
-- most       bigint  how many uses there may be in a window
-- uses       rate_limits_pkey (an index)
-- returns    used bigint : no row where nothing has been used
--
-- What was asked for beyond the limit was granted to nobody, so the use that comes back is one of `most`.

update app.rate_limits
set used = greatest(0, least(used, :'most'::bigint) - 1)
where tenant_id = :'tenant_id'
  and subject = :'subject'::bytea
returning used;
