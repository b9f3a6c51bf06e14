//! Optimistic locking over HTTP: `ETag` and `If-Match` (RFC 9110, section 13.1.1).

use axum::extract::FromRequestParts;
use axum::http::HeaderValue;
use axum::http::header::IF_MATCH;
use axum::http::request::Parts;

use crate::http::problem::Problem;

/// The strong entity tag of a version: `"5"`.
pub fn etag(version: i64) -> HeaderValue {
    HeaderValue::try_from(format!("\"{version}\"")).expect("digits and quotes are a valid header value")
}

/// The request's `If-Match`, if it has one. A malformed one is 400 `invalid-header`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IfMatch(Condition);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Condition {
    None,
    Any,
    /// The tags' texts between the quotes; weak ones are left out, since they never match strongly.
    OneOf(Vec<String>),
}

impl IfMatch {
    /// 412 `precondition-failed` unless the condition holds for the current version; `None` when the resource does not exist.
    pub fn check(&self, version: Option<i64>) -> Result<(), Problem> {
        let holds = match (&self.0, version) {
            (Condition::None, _) | (Condition::Any, Some(_)) => true,
            (Condition::OneOf(tags), Some(version)) => tags.contains(&version.to_string()),
            (_, None) => false,
        };
        match (holds, version) {
            (true, _) => Ok(()),
            (false, Some(version)) => {
                Err(Problem::precondition_failed(format!("The current version is \"{version}\".")))
            }
            (false, None) => Err(Problem::precondition_failed("There is no current version.")),
        }
    }

    fn parse(values: &[&str]) -> Option<Condition> {
        match values {
            [] => Some(Condition::None),
            [value] if value.trim() == "*" => Some(Condition::Any),
            _ => tags(&values.join(",")).map(Condition::OneOf),
        }
    }
}

/// The strong tags of a list of entity tags; `None` when it is none. A tag may contain commas.
fn tags(list: &str) -> Option<Vec<String>> {
    let mut strong = Vec::new();
    let mut rest = list.trim();
    let mut count = 0;
    while !rest.is_empty() {
        let (weak, quoted) = match rest.strip_prefix("W/") {
            Some(quoted) => (true, quoted),
            None => (false, rest),
        };
        let (tag, after) = quoted.strip_prefix('"')?.split_once('"')?;
        if !tag.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        if !weak {
            strong.push(tag.to_owned());
        }
        count += 1;
        let after = after.trim_start();
        rest = match after.strip_prefix(',') {
            Some(next) => next.trim_start(),
            None if after.is_empty() => after,
            None => return None,
        };
    }
    (count > 0).then_some(strong)
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let values: Result<Vec<&str>, _> = parts.headers.get_all(IF_MATCH).iter().map(HeaderValue::to_str).collect();
        let condition = values.ok().and_then(|values| IfMatch::parse(&values));
        condition.map(IfMatch).ok_or_else(|| {
            Problem::invalid_header("If-Match must be an entity tag such as \"5\", a list of them, or *.")
        })
    }
}
