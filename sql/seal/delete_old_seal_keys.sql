-- Delete all keys of the seal but the two newest: those before have been replaced everywhere. For the administrator.
--
-- returns     key_id text : one row for each

delete from app.seal_keys
where key_id not in (
    select newest.key_id
    from app.seal_keys as newest
    order by newest.created_at desc
    limit 2
)
returning key_id;
