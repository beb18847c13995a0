-- transactional: false
set lock_timeout = '5s';
set statement_timeout = '1min';

drop index concurrently app.user_recommendations_judged;
