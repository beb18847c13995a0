-- Delete one of the caller's own days, whose tenant and person the function takes from the verified context.
--
-- date        date  the day
-- uses        pattern_data_pkey (an index, of the day's month only)
-- returns     deleted boolean : false where there was none

select app.delete_pattern(:'date'::date) as deleted;
