-- List the seals that a context gets, one of each key. For the administrator: nobody else reads the keys.
--
-- context     text  a context, as migrations/0007.sealed-context.sql has it
-- returns     key_id text, seal text

select
    key_id,
    :'context'::text || '|' || encode(
        sha256(outer_pad || sha256(inner_pad || convert_to(:'context'::text, 'UTF8'))), 'hex'
    ) as seal
from app.seal_keys
order by created_at desc;
