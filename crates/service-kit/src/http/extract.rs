//! Strict extractors: whatever is wrong with a request is a [`Problem`](super::problem::Problem) that says where.
//!
//! A handler's arguments are extracted in their order, so that order is the order of complaints. The house's order is:
//! [`Authorized`](super::auth::Authorized) or [`Staff`](super::auth::Staff) (401, 403), then [`Path`], [`Query`] or [`NoQuery`], headers, and the body last.

mod body;
mod errors;
mod if_match;
mod json;
mod path;
mod query;

#[cfg(test)]
mod tests;

pub use body::{Body, OptionalBody, RawBody};
pub use errors::{Errors, Validate};
pub use if_match::{IfMatch, etag};
pub use path::Path;
pub use query::{NoQuery, Query};

/// How much of a caller's own text an answer repeats at most, in characters.
const MAX_ECHO: usize = 100;

/// The start of `text`, with an ellipsis where something was cut.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_ECHO) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
