//! Bad input, table by table: each is answered by the kind of problem that the interface promises, and changes nothing.
//!
//! Reading order: `routes` is the table of all routes; `callers`, `requests` and `bodies` each go through it with one
//! sort of fault; `values` holds what is wrong in one place alone.

mod bodies;
mod callers;
mod report;
mod requests;
mod routes;
mod values;
