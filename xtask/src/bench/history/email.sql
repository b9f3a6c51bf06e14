-- The email service's part: recipients and their mails, all sent, with a page of the size that mails have.
insert into recipient (customer_id, name, email, sequence)
select pg_temp.customer_id(c), 'History ' || c, format('history-%s@example.com', c), 1
from generate_series(0, :customers - 1) as c;

insert into mail (id, event_id, template, customer_id, correlation_id, message_id, data, status, attempts, recipient,
                  created_at, answered_at, html)
select pg_temp.id('welcome', c, to_timestamp(:start - 60)), event_id, 'welcome', customer_id, customer_id::text,
       format('<%s.welcome@warren.example>', event_id), '{}', 'sent', 1, format('history-%s@example.com', c),
       to_timestamp(:start - 60), to_timestamp(:start - 60), page.html
from generate_series(0, :customers - 1) as c
cross join lateral (
    select pg_temp.customer_id(c) as customer_id, pg_temp.id('registered', c, to_timestamp(:start - 60)) as event_id
) as e
cross join (select html from mail where template = 'welcome' and html is not null limit 1) as page;

insert into mail (id, event_id, template, order_id, customer_id, correlation_id, message_id, data, status, attempts,
                  recipient, created_at, answered_at, html)
select pg_temp.id('mail', g, pg_temp.at(g, 10)), e.id, 'order-confirmed', pg_temp.order_id(g), pg_temp.customer_id(g),
       pg_temp.id('request', g, pg_temp.at(g, 0))::text, format('<%s.order-confirmed@warren.example>', e.id),
       format('{"lines":%s,"total":%s}', pg_temp.lines(g, true), pg_temp.euros(pg_temp.total(g)))::json, 'sent', 1,
       format('history-%s@example.com', g % :customers), pg_temp.at(g, 10), pg_temp.at(g, 12), page.html
from generate_series(1, :orders) as g
cross join lateral (select pg_temp.id('order.confirmed', g, pg_temp.at(g, 8)) as id offset 0) as e
cross join (select html from mail where template = 'order-confirmed' and html is not null limit 1) as page;

insert into inbox (id, received_at)
select pg_temp.id('registered', c, to_timestamp(:start - 60)), to_timestamp(:start - 60)
from generate_series(0, :customers - 1) as c
union all
select pg_temp.id('order.confirmed', g, pg_temp.at(g, 8)), pg_temp.at(g, 10) from generate_series(1, :orders) as g;
