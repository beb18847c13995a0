-- Find whether the caller has a row of their own, and hold it until the transaction ends: for what changes what they have.
--
-- returns     found boolean

select app.lock_person() as found;
