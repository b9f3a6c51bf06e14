-- The inventory service's part: committed reservations, their ledger, the answers to order.
insert into reservation (order_id, state, lines, sequence, created_at, committed_at, updated_at)
select pg_temp.order_id(g), 'committed',
       format('[{"sku":"%s","quantity":1},{"sku":"%s","quantity":1}]', pg_temp.sku(pg_temp.first(g)),
              pg_temp.sku(pg_temp.second(g)))::json,
       1, pg_temp.at(g, 4), pg_temp.at(g, 10), pg_temp.at(g, 10)
from generate_series(1, :orders) as g;

-- First as many pieces as go out afterwards, so that the stock stays what it is.
insert into movement (sku, id, at, kind, on_hand_delta, reserved_delta, reason)
select sku, pg_temp.id('adjusted', min(g), to_timestamp(:start)), to_timestamp(:start), 'adjusted', count(*), 0, 'history'
from generate_series(1, :orders) as g
cross join lateral (values (pg_temp.sku(pg_temp.first(g))), (pg_temp.sku(pg_temp.second(g)))) as line (sku)
group by sku;

insert into movement (sku, id, at, kind, on_hand_delta, reserved_delta, order_id)
select line.sku, pg_temp.id(kind || line.sku, g, pg_temp.at(g, later)), pg_temp.at(g, later), kind, on_hand, reserved,
       pg_temp.order_id(g)
from generate_series(1, :orders) as g
cross join (values ('reserved', 4, 0, 1), ('committed', 10, -1, -1)) as moved (kind, later, on_hand, reserved)
cross join lateral (values (pg_temp.sku(pg_temp.first(g))), (pg_temp.sku(pg_temp.second(g)))) as line (sku);

insert into event (xid, id, subject, sequence, type, version, time, correlation_id, causation_id, data)
select pg_temp.old_xid(g), pg_temp.id('inventory.reserved', g, pg_temp.at(g, 4)), pg_temp.order_id(g)::text, 1,
       'inventory.reserved', 1, pg_temp.at(g, 4), pg_temp.id('request', g, pg_temp.at(g, 0))::text,
       pg_temp.id('order.created', g, pg_temp.at(g, 0))::text, format('{"order_id":"%s"}', pg_temp.order_id(g))::json
from generate_series(1, :orders) as g;

insert into inbox (id, received_at)
select pg_temp.id(type, g, pg_temp.at(g, later)), pg_temp.at(g, later + 2)
from generate_series(1, :orders) as g cross join (values ('order.created', 0), ('order.confirmed', 8)) as e (type, later);
