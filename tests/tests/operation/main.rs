//! Running it: start, stop, configuration, overload, and what is seen from outside.

mod configuration;
mod health;
mod outage;
mod overload;
mod privacy;
mod start;
mod stop;
mod topology;
mod tracing;
