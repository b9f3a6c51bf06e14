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

use std::str::FromStr;

use serde::{Deserialize, Deserializer};

/// A whole number as it is written: digits alone. Rust's own parsers take a leading `+` as well, which nobody means.
pub fn whole_number<T: FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// An optional field that is left out or has a value; use with `#[serde(default, deserialize_with = "given")]`. An
/// `Option` of its own accord takes `null` as well, and of a field that cannot be emptied nobody could say what that means.
///
/// # Errors
/// When the value is none of this type, `null` among them.
pub fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// How much of a caller's own text an answer repeats at most, in characters.
const MAX_ECHO: usize = 100;

/// The start of `text`, with an ellipsis where something was cut.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_ECHO) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
