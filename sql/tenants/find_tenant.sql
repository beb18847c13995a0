-- Find a tenant by its id or its slug. For the administrator: under the wall there is only one's own.
--
-- tenant      text  an id or a slug
-- returns     tenant_id uuid, slug text, name text : no row where there is none

select tenant_id, slug, name
from app.tenants
where tenant_id::text = lower(:'tenant'::text)
   or lower(slug) = lower(:'tenant'::text);
