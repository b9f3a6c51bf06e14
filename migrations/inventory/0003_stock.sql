-- Products, reservations, and the ledger of every change of stock.

-- What is sold and how much of it there is. Definition and stock share a row, so that one lock covers both.
create table product (
    -- "C": compared by bytes, as the services sort it. All locks are taken in that order.
    sku                 text collate "C" not null,
    name                text             not null,
    -- Minor units of an ISO 4217 currency.
    price_amount        bigint           not null,
    price_currency      text             not null,
    active              boolean          not null,
    low_stock_threshold bigint,
    -- Counts the changes of the definition (the columns above), not those of the stock: the ETag.
    version             bigint           not null default 1,
    on_hand             bigint           not null default 0,
    reserved            bigint           not null default 0,
    -- inventory.low was published, and the stock has not been back at its threshold since.
    low                 boolean          not null default false,
    -- The last event of each of its two subjects: SKU (product.changed) and SKU/low (inventory.low).
    changed_sequence    bigint           not null,
    changed_time        timestamptz      not null,
    low_sequence        bigint           not null default 0,
    low_time            timestamptz      not null default 'epoch',

    constraint product_pkey primary key (sku),
    constraint product_price_not_negative check (price_amount >= 0),
    constraint product_threshold_not_negative check (low_stock_threshold >= 0),
    -- The promise: never oversold. The code checks first; this makes sure.
    constraint product_reserved_not_negative check (reserved >= 0),
    constraint product_not_oversold check (on_hand >= reserved)
)
-- A popular product is updated with every batch of orders. Room on the page keeps its new versions there (heap-only
-- tuples): no index is touched, and the next reader cleans up.
with (fillfactor = 50);

-- What became of each order's stock. A row is changed only under the order's lock, an advisory one (see store), since
-- there is something to lock before there is a row.
create table reservation (
    order_id     uuid        not null,
    -- A cancellation that came before its order leaves "released" without lines.
    state        text        not null,
    -- [{"sku": …, "quantity": …}]. Read and written as a whole and never searched, so neither a table nor jsonb.
    lines        json        not null,
    -- The last event with the order as its subject; 0 where none was published.
    sequence     bigint      not null,
    created_at   timestamptz not null,
    committed_at timestamptz,
    updated_at   timestamptz not null,

    constraint reservation_pkey primary key (order_id),
    constraint reservation_state check (state in ('held', 'rejected', 'committed', 'released', 'returned'))
)
-- Most rows are updated once, to "committed", soon after they were written.
with (fillfactor = 70);

-- The ledger: one row per change of a product's stock, which begins at 0, so that the sums are the stock. Only added to.
-- No foreign key to product: its check would lock the product once more for every row, and products are never deleted.
create table movement (
    sku            text collate "C" not null,
    -- Drawn under the product's lock, so within a sku it is the order of the changes. The one index serves the pages of
    -- a product's ledger.
    position       bigint generated always as identity,
    id             uuid        not null,
    at             timestamptz not null,
    kind           text        not null,
    on_hand_delta  bigint      not null,
    reserved_delta bigint      not null,
    order_id       uuid,
    reason         text,

    constraint movement_pkey primary key (sku, position),
    constraint movement_deltas check (
        case kind
            when 'adjusted'  then on_hand_delta <> 0 and reserved_delta = 0
            when 'reserved'  then on_hand_delta = 0 and reserved_delta > 0
            when 'committed' then on_hand_delta < 0 and reserved_delta = on_hand_delta
            when 'released'  then on_hand_delta = 0 and reserved_delta < 0
            when 'returned'  then on_hand_delta > 0 and reserved_delta = 0
            else false
        end
    ),
    constraint movement_cause check (
        case kind when 'adjusted' then reason is not null and order_id is null else order_id is not null end
    )
);
