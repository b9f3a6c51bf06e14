-- A plain shop: orders, their lines, and a log of events, with the keys and indexes that their readers need.
create table orders (
    id          uuid        primary key,
    customer_id uuid        not null,
    status      text        not null,
    total       bigint      not null,
    currency    text        not null,
    created_at  timestamptz not null default now()
);
create index on orders (customer_id, created_at);

create table order_line (
    order_id   uuid    not null references orders (id),
    position   integer not null,
    sku        text    not null,
    quantity   integer not null,
    unit_price bigint  not null,
    primary key (order_id, position)
);

create table event (
    id         bigint      generated always as identity primary key,
    order_id   uuid        not null,
    type       text        not null,
    data       json        not null,
    created_at timestamptz not null default now()
);
create index on event (order_id);
