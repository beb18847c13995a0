-- List what keeps the seal from holding as far as its keys go. For the administrator.
--
-- returns     danger text : a sentence for each

select 'there is no key: nobody can enter a tenant' as danger
from app.seal_keys
having count(*) = 0

union all

select pg_catalog.format('there are %s keys, where two are the most', count(*))
from app.seal_keys
having count(*) > 2

union all

-- A known pad is a known key: HMAC's two are the key itself, each with a constant.
select pg_catalog.format('the pads of key %s are not of one key', key_id)
from app.seal_keys
where exists (
    select
    from pg_catalog.generate_series(0, 63) as place
    where pg_catalog.get_byte(inner_pad, place) # pg_catalog.get_byte(outer_pad, place) <> 106 -- 0x36 # 0x5c
)

union all

select pg_catalog.format('key %s is empty', key_id)
from app.seal_keys
where inner_pad = pg_catalog.decode(pg_catalog.repeat('36', 64), 'hex');
