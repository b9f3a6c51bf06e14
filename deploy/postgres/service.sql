-- One service's database and its two roles; `service` is its name. Everything here may be run again.
--
--   SERVICE_migrate   owns the database and all in it, and changes the schema: used by `SERVICE migrate` and nothing else
--   SERVICE           reads and writes rows: what the running service is
--
-- Someone who takes over a running service can change its rows, but cannot drop a table, add a trigger, or look into
-- another service's database.

\set migrate :service _migrate
select upper(:'service') || '_DB_PASSWORD' as password_name,
       upper(:'service') || '_DB_MIGRATE_PASSWORD' as migrate_password_name \gset
\getenv password :password_name
\getenv migrate_password :migrate_password_name

select format('create role %I', name) from unnest(array[:'service', :'migrate']) as name where to_regrole(quote_ident(name)) is null \gexec
alter role :"service" login password :'password';
alter role :"migrate" login password :'migrate_password';

-- Not with "create database if not exists", which there is none of.
select format('create database %I owner %I', :'service', :'migrate')
where not exists (select from pg_database where datname = :'service') \gexec

revoke connect, temporary on database :"service" from public;
grant connect on database :"service" to :"service", audit;
-- Read models are rebuilt and verified on tables of the session's own.
grant temporary on database :"service" to :"service";

\connect :"service"

alter schema public owner to :"migrate";
revoke all on schema public from public;
grant usage on schema public to :"service";

-- For each table that a migration makes from here on.
alter default privileges for role :"migrate" in schema public grant select, insert, update, delete on tables to :"service";
alter default privileges for role :"migrate" in schema public grant usage on sequences to :"service";
