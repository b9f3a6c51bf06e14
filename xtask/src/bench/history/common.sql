-- What the scripts of the three databases share. What begins with a colon is put in by generate.rs: how many orders and
-- customers, the start (epoch seconds), the step (microseconds) from an order to the next. Every id follows from a number,
-- so that the databases agree without asking each other.
set synchronous_commit = off;
set maintenance_work_mem = '256MB';
set statement_timeout = 0;

-- When order number g was placed, and when something happened so many milliseconds later.
create function pg_temp.at(g bigint, later integer) returns timestamptz stable language sql
as $$ select to_timestamp(:start + (g * :step + later * 1000)::double precision / 1e6) $$;

-- The UUIDv7 of something of that kind and number, which came to be then.
create function pg_temp.id(kind text, g bigint, at timestamptz) returns uuid stable language sql
as $$ select (lpad(to_hex(floor(extract(epoch from at) * 1000)::bigint), 12, '0') || '7' || substr(md5(kind || g), 1, 3)
              || '8' || substr(md5(kind || g), 4, 15))::uuid $$;

create function pg_temp.customer_id(g bigint) returns uuid stable language sql
as $$ select pg_temp.id('customer', g % :customers, to_timestamp(:start - 60)) $$;

create function pg_temp.order_id(g bigint) returns uuid stable language sql
as $$ select pg_temp.id('order', g, pg_temp.at(g, 0)) $$;

-- The two products of an order, of the 1,000 that `warren load` makes: numbers from 0, which are their prices beside 100.
create function pg_temp.first(g bigint) returns integer stable language sql as $$ select (g * 7919 % 1000)::integer $$;
create function pg_temp.second(g bigint) returns integer stable language sql
as $$ select ((g * 7919 + 1 + g % 998) % 1000)::integer $$;

create function pg_temp.sku(number integer) returns text stable language sql
as $$ select 'load-' || lpad((number + 1)::text, 4, '0') $$;

create function pg_temp.total(g bigint) returns bigint stable language sql
as $$ select (200 + pg_temp.first(g) + pg_temp.second(g))::bigint $$;

create function pg_temp.euros(amount bigint) returns text stable language sql
as $$ select format('{"amount":%s,"currency":"EUR"}', amount) $$;

-- A line as events and rows have it, with the product's name or without.
create function pg_temp.line(number integer, named boolean) returns text stable language sql
as $$ select format('{"sku":"%s",%s"quantity":1,"unit_price":%s}', pg_temp.sku(number),
                    case when named then format('"name":"Load %s",', number + 1) else '' end, pg_temp.euros(100 + number)) $$;

create function pg_temp.lines(g bigint, named boolean) returns text stable language sql
as $$ select format('[%s,%s]', pg_temp.line(pg_temp.first(g), named), pg_temp.line(pg_temp.second(g), named)) $$;

-- An old transaction, which every reader of the log has seen: nothing of the history is published again.
create function pg_temp.old_xid(g bigint) returns xid8 stable language sql
as $$ select (3 + g * 500 / :orders)::text::xid8 $$;

-- Indexes and keys are taken away and made again at the end: that takes half of the time.
create temporary table put_back (number bigint generated always as identity, command text not null);
do $$
declare
    one record;
begin
    -- foreign keys come first, since they need the others, and so go back last
    for one in
        select conrelid::regclass as owner, conname, pg_get_constraintdef(oid) as definition
        from pg_constraint
        where connamespace = 'public'::regnamespace and contype in ('f', 'p', 'u') and conparentid = 0
        order by contype <> 'f'
    loop
        insert into put_back (command)
        values (format('alter table %s add constraint %I %s', one.owner, one.conname, one.definition));
        execute format('alter table %s drop constraint %I', one.owner, one.conname);
    end loop;
    for one in
        select i.indexrelid::regclass as name, pg_get_indexdef(i.indexrelid) as definition
        from pg_index i join pg_class c on c.oid = i.indexrelid
        where c.relnamespace = 'public'::regnamespace and not c.relispartition
    loop
        insert into put_back (command) values (one.definition);
        execute format('drop index %s', one.name);
    end loop;
end
$$;
