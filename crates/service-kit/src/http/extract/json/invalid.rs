//! What is wrong with a JSON value, in the words of its caller.

use std::fmt;

use serde::de::{self, Unexpected};

use crate::http::extract::shortened;

/// What is wrong, and where; the path is gathered from the inside out.
#[derive(Debug)]
pub(super) struct Invalid {
    pub(super) detail: String,
    path: Vec<String>,
}

impl Invalid {
    pub(super) fn here(detail: &str) -> Self {
        Invalid { detail: detail.to_owned(), path: Vec::new() }
    }

    pub(super) fn within(mut self, step: &str) -> Self {
        self.path.push(shortened(step));
        self
    }

    /// The path as a JSON pointer (RFC 6901).
    pub(super) fn pointer(&self) -> String {
        self.path
            .iter()
            .rev()
            .fold(String::new(), |pointer, step| pointer + "/" + &step.replace('~', "~0").replace('/', "~1"))
    }
}

impl de::Error for Invalid {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Invalid::here(&shortened(&message.to_string()))
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Invalid::here(&format!("expected {}, got {}", in_words(expected), kind(unexpected)))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Invalid::here(&format!("expected {}", in_words(expected)))
    }

    fn invalid_length(_: usize, expected: &dyn de::Expected) -> Self {
        Invalid::here(&format!("expected {}", in_words(expected)))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Invalid::here(&format!("expected one of {}", expected.join(", ")))
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Invalid::here("is not a known field").within(field)
    }

    fn missing_field(field: &'static str) -> Self {
        Invalid::here("is required").within(field)
    }

    fn duplicate_field(field: &'static str) -> Self {
        Invalid::here("appears more than once").within(field)
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.pointer(), self.detail)
    }
}

impl std::error::Error for Invalid {}

/// What was found, by its kind and without its value.
fn kind(unexpected: Unexpected<'_>) -> &'static str {
    match unexpected {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "a number",
        Unexpected::Float(_) => "a number with a fraction or exponent",
        Unexpected::Str(_) | Unexpected::Char(_) => "a string",
        Unexpected::Seq => "an array",
        Unexpected::Map => "an object",
        Unexpected::Unit | Unexpected::Option => "null",
        Unexpected::Other("a number") => "a number",
        _ => "something else",
    }
}

/// What was expected, in the words of JSON rather than of Rust.
fn in_words(expected: &dyn de::Expected) -> String {
    let expected = expected.to_string();
    match expected.as_str() {
        "u8" => format!("a whole number from 0 to {}", u8::MAX),
        "u16" => format!("a whole number from 0 to {}", u16::MAX),
        "u32" => format!("a whole number from 0 to {}", u32::MAX),
        "u64" => format!("a whole number from 0 to {}", u64::MAX),
        "i16" => format!("a whole number from {} to {}", i16::MIN, i16::MAX),
        "i32" => format!("a whole number from {} to {}", i32::MIN, i32::MAX),
        "i64" => format!("a whole number from {} to {}", i64::MIN, i64::MAX),
        "a sequence" => "an array".to_owned(),
        "a map" => "an object".to_owned(),
        _ => expected,
    }
}
