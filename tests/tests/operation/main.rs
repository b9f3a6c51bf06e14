//! Running it: start, stop, configuration, overload, and what is seen from outside.

mod audit;
mod catalog;
mod configuration;
mod health;
mod metrics;
mod outage;
mod overload;
mod privacy;
mod resend;
mod start;
mod stop;
mod stuck;
mod topology;
mod traces;
mod tracing;
