-- transactional: false
-- An index for what a person judged of late, however long ago it was given: others read and write while it is built.

set lock_timeout = '5s';
set statement_timeout = '10min';

-- A run that is broken off leaves an index of this name behind which nothing uses.
drop index concurrently if exists app.user_recommendations_judged;
-- squawk-ignore ban-concurrent-index-creation-in-transaction -- the first line has it run outside of one
create index concurrently if not exists user_recommendations_judged
    on app.user_recommendations (tenant_id, user_id, judged_at) where judged_at is not null;
