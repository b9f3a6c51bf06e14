-- The first answers to POST requests that carried an Idempotency-Key.
--
-- A key, the effect of its request and the answer commit in one transaction, under an advisory lock of the same
-- (caller, route, key) that PostgreSQL drops with the transaction. So a row means "done, and this was said"; no row and a
-- free lock mean "not done"; a lock that is taken means "under way". A crash leaves neither row nor lock.
-- Only 2xx answers are kept: who got an error may try again under the same key.
create table idempotency (
    -- Who asked: the subject of the token, with the customer if it is a customer's own.
    caller      text        not null,
    -- Method and path with its parameters, so that two resources never share a key.
    route       text        not null,
    -- The header's value.
    key         text        not null,
    -- SHA-256 of the request's body: the same key with another body is a mistake of the caller.
    fingerprint bytea       not null,
    status      smallint    not null,
    -- The headers that belong to the answer; null where it had none.
    location    text,
    etag        text,
    body        bytea       not null,
    created_at  timestamptz not null default now(),

    constraint idempotency_pkey primary key (caller, route, key),
    constraint idempotency_fingerprint_is_sha256 check (octet_length(fingerprint) = 32),
    constraint idempotency_status_is_success check (status between 200 and 299)
);

-- For forgetting the old ones.
create index idempotency_created_at_idx on idempotency (created_at);
