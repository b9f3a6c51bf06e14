-- The order service's part: customers, confirmed orders with their payments and events, read models.
insert into customer (id, name, email, version, created_at, updated_at)
select pg_temp.customer_id(c), 'History ' || c, format('history-%s@example.com', c), 1, to_timestamp(:start - 60),
       to_timestamp(:start - 60)
from generate_series(0, :customers - 1) as c;

insert into event (xid, id, subject, sequence, type, version, time, correlation_id, causation_id, data)
select '3', pg_temp.id('registered', c, created_at), id::text, 1, 'customer.registered', 1, created_at, id::text, id::text,
       json_build_object('customer_id', id, 'name', name, 'email', email)
from generate_series(0, :customers - 1) as c join customer on id = pg_temp.customer_id(c);

insert into orders (id, customer_id, status, version, lines, total_amount, total_currency, payment_method, payment_status,
                    payment_id, created_at, updated_at)
select pg_temp.order_id(g), pg_temp.customer_id(g), 'confirmed', 4, pg_temp.lines(g, true)::json, pg_temp.total(g), 'EUR',
       'sandbox:ok', 'completed', pg_temp.id('payment', g, pg_temp.at(g, 5))::text, pg_temp.at(g, 0), pg_temp.at(g, 8)
from generate_series(1, :orders) as g;

insert into event (xid, id, subject, sequence, type, version, time, correlation_id, causation_id, data)
select pg_temp.old_xid(g), pg_temp.id(e.type, g, pg_temp.at(g, e.later)), o.id::text, e.sequence, e.type, e.version,
       pg_temp.at(g, e.later), pg_temp.id('request', g, o.created_at)::text, pg_temp.id('request', g, o.created_at)::text,
       case e.sequence
           when 1 then format('{"order_id":"%s","customer_id":"%s","lines":%s,"total":%s,"payment_method":"sandbox:ok","created_at":"%s"}',
                              o.id, o.customer_id, pg_temp.lines(g, false), pg_temp.euros(pg_temp.total(g)),
                              to_char(o.created_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
           when 2 then format('{"order_id":"%s"}', o.id)
           when 3 then format('{"order_id":"%s","payment_id":"%s","amount":%s}', o.id,
                              pg_temp.id('payment', g, pg_temp.at(g, 5)), pg_temp.euros(pg_temp.total(g)))
           else format('{"order_id":"%s","customer_id":"%s","lines":%s,"total":%s}', o.id, o.customer_id,
                       pg_temp.lines(g, true), pg_temp.euros(pg_temp.total(g)))
       end::json
from generate_series(1, :orders) as g
cross join lateral (
    select pg_temp.order_id(g) as id, pg_temp.customer_id(g) as customer_id, pg_temp.at(g, 0) as created_at offset 0
) as o
cross join (values (1, 'order.created', 2, 0), (2, 'order.reserved', 1, 5), (3, 'payment.completed', 1, 8),
                   (4, 'order.confirmed', 1, 8)) as e (sequence, type, version, later);

insert into payment (id, order_id, amount, currency, method, state, attempts, next_at, waits_since, correlation_id)
select pg_temp.id('payment', g, pg_temp.at(g, 5))::text, pg_temp.order_id(g), pg_temp.total(g), 'EUR', 'sandbox:ok',
       'completed', 1, pg_temp.at(g, 5), pg_temp.at(g, 5), pg_temp.id('request', g, pg_temp.at(g, 0))::text
from generate_series(1, :orders) as g;

insert into sandbox_ledger (payment_id, amount, currency, calls, charged_at)
select pg_temp.id('payment', g, pg_temp.at(g, 5))::text, pg_temp.total(g), 'EUR', 1, pg_temp.at(g, 7)
from generate_series(1, :orders) as g;

insert into inbox (id, received_at)
select pg_temp.id('inventory.reserved', g, pg_temp.at(g, 4)), pg_temp.at(g, 5) from generate_series(1, :orders) as g;

insert into customer_total (customer_id, currency, orders, amount)
select pg_temp.customer_id(g), 'EUR', count(*), sum(pg_temp.total(g)) from generate_series(1, :orders) as g group by 1;

insert into daily_sale as d (day, currency, created, confirmed, revenue)
select (pg_temp.at(g, 0) at time zone 'utc')::date, 'EUR', count(*), count(*), sum(pg_temp.total(g))
from generate_series(1, :orders) as g group by 1;
