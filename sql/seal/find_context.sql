-- Find the context that a statement of the service runs in: what serving asks before it begins.
--
-- tenant_id   uuid  the caller's tenant
-- returns     tenant_id uuid, user_id uuid, role text : as Postgres believes them; 42501 where the seal does not fit

select
    app.tenant_id() as tenant_id,
    app.user_id() as user_id,
    app.role() as role
where :'tenant_id'::uuid is not null;
