\set customer random(1, 100)
\set first random(1, 1000)
\set second random(1, 1000)
begin;
insert into orders (id, customer_id, status, total, currency)
values (gen_random_uuid(), ('00000000-0000-7000-8000-' || lpad(:customer::text, 12, '0'))::uuid, 'pending', 1234, 'EUR')
returning id \gset
insert into order_line (order_id, position, sku, quantity, unit_price)
values (:id, 1, 'load-' || :first::text, 1, 617), (:id, 2, 'load-' || :second::text, 1, 617);
insert into event (order_id, type, data)
values (:id, 'order.created', json_build_object('order_id', :id::uuid, 'total', 1234, 'currency', 'EUR', 'lines', 2));
commit;
