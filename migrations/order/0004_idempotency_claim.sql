-- Claims idempotency keys for this transaction, in one way to the database: for each key, in the order of the arguments,
-- whether its lock was free, and the answer that is kept under it, if any.
--
-- The locks are taken by a statement of their own. The next one sees what was committed up to then, so an answer that
-- commits while its key is being locked is seen: with one statement for both, a free lock and no row could also mean "done
-- a moment ago".
create function claim_idempotency_keys(callers text[], routes text[], keys text[], locks bigint[])
    returns table (locked boolean, fingerprint bytea, status smallint, location text, etag text, body bytea)
    language plpgsql
as $$
#variable_conflict use_column
declare
    free boolean[] := array(
        select pg_try_advisory_xact_lock(lock) from unnest(locks) with ordinality as wanted (lock, n) order by n
    );
begin
    return query
        select free[n], fingerprint, status, location, etag, body
        from unnest(callers, routes, keys) with ordinality as wanted (caller, route, key, n)
        left join idempotency using (caller, route, key)
        order by n;
end
$$;
