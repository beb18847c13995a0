-- The checks of migrations 0010 and 0011 for the rows that were there before it, while others read and write.

set lock_timeout = '5s';
set statement_timeout = '10min';

alter table app.user_recommendations validate constraint user_recommendations_topic_known;
alter table app.user_recommendations validate constraint user_recommendations_note_length;
alter table app.user_recommendations validate constraint user_recommendations_judged_whole;
alter table app.tenants validate constraint tenants_budget_counted;
