set lock_timeout = '5s';
set statement_timeout = '1min';

alter table app.user_recommendations
    drop column topic,
    drop column fallback,
    drop column helpful,
    drop column note,
    drop column judged_at;
