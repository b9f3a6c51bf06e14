-- Customers, orders and their payments, and this service's own copy of the price list.

create table customer (
    id         uuid        not null,
    name       text        not null,
    email      text        not null,
    -- The sequence of the customer's last event, and its time: what the next event follows.
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,

    constraint customer_pkey primary key (id)
);

-- One customer per address, whatever the case it is written in.
create unique index customer_email on customer (lower(email));

-- The products of inventory, as its events tell them. Orders are priced from here, also while inventory is away.
create table product (
    sku      text    not null,
    name     text    not null,
    amount   bigint  not null,
    currency text    not null,
    active   boolean not null,
    -- The sequence of the event that it was last taken from: an older one that comes late is ignored.
    sequence bigint  not null,

    constraint product_pkey primary key (sku),
    constraint product_price_not_negative check (amount >= 0)
);

-- The state of each order, for quick reading: what its events add up to, changed in the transaction that appends them.
-- Rows are changed a few times and then never again; the space left on each page keeps the changes on it.
create table orders (
    -- UUIDv7 made from the database's clock, so that the key's order is that of created_at.
    id             uuid        not null,
    customer_id    uuid        not null,
    status         text        not null,
    -- The sequence of its last event.
    version        bigint      not null,
    -- [{sku, name, quantity, unit_price}]: fixed when it is placed, and read as a whole.
    lines          json        not null,
    total_amount   bigint      not null,
    total_currency text        not null,
    payment_method text        not null,
    payment_status text        not null,
    -- The provider's own id of the payment.
    payment_id     text,
    -- [payment_id]: completed payments that have to go back, until they have.
    owed           json        not null default '[]',
    cancel_reason  text,
    -- What the one who cancelled wrote. It is in no event: it concerns nobody else.
    cancel_note    text,
    created_at     timestamptz not null,
    updated_at     timestamptz not null,

    constraint orders_pkey primary key (id),
    constraint orders_customer foreign key (customer_id) references customer (id),
    constraint orders_status check (status in ('pending', 'reserved', 'confirmed', 'cancelled')),
    constraint orders_payment_status
        check (payment_status in ('none', 'pending', 'completed', 'failed', 'refunded')),
    constraint orders_reason_when_cancelled check ((status = 'cancelled') = (cancel_reason is not null)),
    constraint orders_total_not_negative check (total_amount >= 0)
) with (fillfactor = 70);

create index orders_customer_id on orders (customer_id, id);

-- The orders that wait for something: few, however many there have been.
create index orders_open on orders (status, id) where status in ('pending', 'reserved');

-- Orders that inventory knows and this service does not: their cancellation was published, once.
create table unknown_order (
    id      uuid        not null,
    seen_at timestamptz not null,

    constraint unknown_order_pkey primary key (id)
);

-- What is asked of the payment provider: a row of intent is committed before the provider is called, and its result with
-- the next step of the order after.
create table payment (
    -- The provider's own opaque id; for payments that this service starts, an id of its own, sent as idempotency key.
    id         text        not null,
    order_id   uuid        not null,
    amount     bigint      not null,
    currency   text        not null,
    method     text        not null,
    -- due: to be charged. waiting: somebody else tells the result. claimed, refunding: a worker is at it, or had no answer,
    -- so the provider may or may not have done it, and is asked until it answers. withdrawn: the order ended before it
    -- was charged.
    state      text        not null,
    attempts   integer     not null default 0,
    -- When a worker may take it (again): after a transient failure, or when the worker that took it must have stopped.
    next_at    timestamptz not null,
    -- Since when the order waits for it, or for its refund.
    waits_since    timestamptz not null,
    -- What the events inherit that its result causes.
    correlation_id text        not null,
    causation_id   text,
    traceparent    text,

    constraint payment_pkey primary key (id),
    constraint payment_order foreign key (order_id) references orders (id),
    constraint payment_state check (state in ('due', 'waiting', 'claimed', 'completed', 'failed', 'withdrawn',
                                              'refund-due', 'refunding', 'refunded'))
) with (fillfactor = 70);

create index payment_order_id on payment (order_id);

-- What the worker takes next, and whose time may be up. Two, because a payment that waits for somebody else may wait long,
-- and is nothing to be taken.
create index payment_due on payment (next_at) where state in ('due', 'claimed', 'refund-due', 'refunding');
create index payment_waits on payment (waits_since) where state in ('due', 'waiting', 'claimed');

-- When the payment provider could not be reached: time that no order is charged with while it waits for its payment. The
-- one without an end goes on; there is at most one.
create table provider_outage (
    since timestamptz not null default now(),
    until timestamptz
);

create unique index provider_outage_one_goes_on on provider_outage ((until is null)) where until is null;

-- Payment webhooks that took effect, so that a repeated one has no second effect. Kept longer than any redelivery.
create table webhook (
    id          text        not null,
    received_at timestamptz not null default now(),

    constraint webhook_pkey primary key (id)
);

create index webhook_received_at on webhook (received_at);

-- The sandbox provider's own books: not the shop's. One row per payment, however often it is asked to charge, so that a
-- double charge or a missing refund would show.
create table sandbox_ledger (
    payment_id  text        not null,
    amount      bigint      not null,
    currency    text        not null,
    calls       integer     not null,
    charged_at  timestamptz,
    refunded_at timestamptz,

    constraint sandbox_ledger_pkey primary key (payment_id)
);

-- Read model: what each customer has ordered, confirmed orders only. Kept by a follower of the log.
create table customer_total (
    customer_id uuid   not null,
    currency    text   not null,
    orders      bigint not null,
    amount      bigint not null,

    constraint customer_total_pkey primary key (customer_id, currency)
);

-- Read model: what was sold on each day (UTC), each event counted on the day it happened.
create table daily_sale (
    day       date   not null,
    currency  text   not null,
    created   bigint not null default 0,
    confirmed bigint not null default 0,
    cancelled bigint not null default 0,
    -- Of those cancelled, how many had been confirmed, on whatever day.
    undone    bigint not null default 0,
    -- The sum of the orders that were confirmed that day.
    revenue   bigint not null default 0,

    constraint daily_sale_pkey primary key (day, currency)
);
