-- List the seal's newest key where it is older than 90 days. For the administrator.
--
-- now         timestamptz  what its age is worked out from
-- returns     danger text : a sentence

select
    pg_catalog.format(
        'the newest key is %s days old', extract(day from :'now'::timestamptz - max(created_at))
    ) as danger
from app.seal_keys
having max(created_at) < :'now'::timestamptz - interval '90 days';
