-- Save a key of the seal; one that is there already stays as old as it is. For the administrator.
--
-- key_id      text   what tells this key from others: 16 hexadecimal digits
-- inner_pad   bytea  HMAC's inner pad: the key, padded to 64 bytes, xor 0x36
-- outer_pad   bytea  HMAC's outer pad: the key, padded to 64 bytes, xor 0x5c
-- returns     key_id text : no row where it was there

insert into app.seal_keys (key_id, inner_pad, outer_pad)
values (:'key_id'::text, :'inner_pad'::bytea, :'outer_pad'::bytea)
on conflict (key_id) do nothing
returning key_id;
