//! Validation of what a type cannot express: ranges, lengths, characters, and how fields fit together.

use std::borrow::Cow;

use crate::http::problem::{FieldError, Problem};

/// Checks of a parsed body. All errors are collected, so that a caller sees them at once.
pub trait Validate {
    /// Notes everything that is wrong.
    fn validate(&self, errors: &mut Errors);
}

/// What is wrong with a body.
#[derive(Debug, Default)]
pub struct Errors(Vec<FieldError>);

/// More errors than this help nobody and would make a small request a large answer.
const MAX_ERRORS: usize = 50;

impl Errors {
    /// Notes an error. `pointer` is a JSON pointer (RFC 6901) into the body: `/lines/0/quantity`.
    pub fn push(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        if self.0.len() < MAX_ERRORS {
            self.0.push(FieldError { pointer: pointer.into(), detail: detail.into() });
        }
    }

    /// Notes an error unless `holds`.
    pub fn check(&mut self, holds: bool, pointer: impl Into<String>, detail: impl Into<String>) {
        if !holds {
            self.push(pointer, detail);
        }
    }

    /// Notes what is wrong with a line of text that people read: it must have `min` to `max` characters (Unicode scalar values), no
    /// blank at its start or end, no control characters (U+0000, which PostgreSQL cannot store, among them), and
    /// no characters that reverse the direction of what follows.
    pub fn text(&mut self, pointer: impl Into<String>, value: &str, min: usize, max: usize) {
        if let Some(detail) = wrong_text(value, min, max) {
            self.push(pointer, detail);
        }
    }

    /// 422 `invalid-body` with all of the errors, if there are any.
    pub fn into_result(self) -> Result<(), Problem> {
        match self.0.is_empty() {
            true => Ok(()),
            false => Err(Problem::invalid_body(self.0)),
        }
    }
}

fn wrong_text(value: &str, min: usize, max: usize) -> Option<Cow<'static, str>> {
    let length = value.chars().count();
    if !(min..=max).contains(&length) {
        return Some(format!("must have {min} to {max} characters").into());
    }
    if value.chars().any(char::is_control) {
        return Some("must not contain control characters".into());
    }
    if value.chars().any(changes_direction) {
        return Some("must not contain characters that change the writing direction".into());
    }
    if value.trim() != value {
        return Some("must not start or end with a blank".into());
    }
    None
}

/// The explicit embeddings, overrides and isolates of the Unicode Bidirectional Algorithm (UAX #9): they make a
/// text read differently from what it is.
fn changes_direction(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}
