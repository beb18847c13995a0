-- Back to checks that nobody has held against the rows that were there: a check becomes that only by being made anew.

set lock_timeout = '5s';
set statement_timeout = '1min';

alter table app.user_recommendations
    drop constraint user_recommendations_topic_known,
    drop constraint user_recommendations_note_length,
    drop constraint user_recommendations_judged_whole,
    add constraint user_recommendations_topic_known check (topic in (
        'rest', 'sleep', 'movement', 'food', 'attention', 'priorities', 'workload', 'timing', 'meaning', 'people',
        'reflection', 'growth'
    )) not valid,
    add constraint user_recommendations_note_length check (length(note) between 1 and 500) not valid,
    add constraint user_recommendations_judged_whole check (
        (helpful is null) = (judged_at is null) and (note is null or judged_at is not null)
    ) not valid;
alter table app.tenants
    drop constraint tenants_budget_counted,
    add constraint tenants_budget_counted check (daily_calls >= 0 and daily_tokens >= 0) not valid;
