-- What concerns the server as a whole. Everything here may be run again.

-- A database is for its own roles alone; PostgreSQL lets everybody connect to a new one, and to these from the start.
revoke connect, temporary on database postgres, template1 from public;

-- Reads all services' tables and writes none: for `warren audit`, and for people who look.
select 'create role audit' where to_regrole('audit') is null \gexec
\getenv password AUDIT_DB_PASSWORD
alter role audit login password :'password';
grant pg_read_all_data to audit;
-- Also where no permission would stop it: advisory locks aside, it changes nothing.
alter role audit set default_transaction_read_only = on;
