-- Save that the caller logs out: what was asked for by then is not given out any more. Holds their row until the
-- transaction ends.
--
-- now         timestamptz  when
-- returns     found boolean : whether they have a row of their own

select app.clear_person(:'now') as found;
