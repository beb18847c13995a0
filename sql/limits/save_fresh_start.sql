-- Save that a subject starts anew, with nothing used of its limit.
--
-- tenant_id  uuid   the caller's tenant; all zeros for whoever is nobody yet
-- subject    bytea  whose limit it is: 32 bytes
-- uses       rate_limits_pkey (an index)
-- returns    used bigint : no row where nothing has been used

update app.rate_limits
set used = 0
where tenant_id = :'tenant_id'
  and subject = :'subject'::bytea
returning used;
