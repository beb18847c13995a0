-- Logging out clears what was kept for the person: it stays as a record, and is not given out again.

set lock_timeout = '5s';
set statement_timeout = '1min';

alter table app.user_recommendations add column cleared_at timestamptz;
comment on column app.user_recommendations.cleared_at is 'The person logged out: from then on the cache does not have it';

grant update (cleared_at) on app.user_recommendations to daymark_service;
