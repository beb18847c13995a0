-- What a person made of a recommendation, what it was about, and whether it only stood in for a better one.

set lock_timeout = '5s';
set statement_timeout = '1min';

alter table app.user_recommendations
    add column topic text,
    add column fallback boolean not null default false,
    add column helpful boolean,
    add column note text,
    add column judged_at timestamptz,
    -- Not looked at for the rows that are there, which would keep everybody waiting: migration 0013 does.
    add constraint user_recommendations_topic_known check (topic in (
        'rest', 'sleep', 'movement', 'food', 'attention', 'priorities', 'workload', 'timing', 'meaning', 'people',
        'reflection', 'growth'
    )) not valid,
    add constraint user_recommendations_note_length check (length(note) between 1 and 500) not valid,
    add constraint user_recommendations_judged_whole check (
        (helpful is null) = (judged_at is null) and (note is null or judged_at is not null)
    ) not valid;
comment on column app.user_recommendations.topic is 'What it is about; NULL for what was made before topics were';
comment on column app.user_recommendations.fallback is
    'The rules stood in for an engine that failed, on every row of the batch: it is kept for a shorter time';
comment on column app.user_recommendations.helpful is 'The person''s last word on it; NULL until there is one';
comment on column app.user_recommendations.note is 'In the person''s own words; no engine is ever sent it';

-- Spells the policies as they were, and keeps the new columns' contents out of the statistics.
call app.isolate('app.user_recommendations');

grant insert (topic, fallback), update (helpful, note, judged_at) on app.user_recommendations to daymark_service;
