-- Delete one of a person's days.
--
-- tenant_id   uuid  the caller's tenant
-- user_id     uuid  whose day
-- date        date  the day
-- uses        pattern_data_pkey (an index, of the day's month only)
-- returns     date date : no row where there was none

delete from app.pattern_data
where tenant_id = :'tenant_id'
  and user_id = :'user_id'
  and date = :'date'::date
returning date;
