-- Delete a person's sessions that were over long ago, and refresh tokens that were used long ago.
--
-- before      timestamptz  what was over or used by then
-- uses        sessions_of_person (an index)
-- returns     deleted bigint : how many sessions

select app.delete_old_sessions(:'before') as deleted;
