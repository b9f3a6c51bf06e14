//! Why a call failed, in words that help.

use super::problem::Problem;

/// Why a call gave no good answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// There is no connection, so nothing was sent.
    #[error("cannot reach {service} at {base}: {reason}; does it run there? ({variable} says where it is)")]
    Unreachable {
        /// The service.
        service: &'static str,
        /// Its address.
        base: String,
        /// The variable with its address.
        variable: &'static str,
        /// Why.
        reason: String,
    },
    /// The request was sent, and its answer did not come: nobody knows whether it took effect.
    #[error("no answer from {service}: {reason}{}", if *.changes { "; look whether the change was made" } else { "" })]
    Lost {
        /// The service.
        service: &'static str,
        /// Why.
        reason: String,
        /// Whether the request was to change something.
        changes: bool,
    },
    /// The service refused.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// Something that no service of ours says.
    #[error("{0}")]
    Unexpected(String),
}

impl CallError {
    /// The problem, if the service sent one.
    pub(crate) fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(problem) => Some(problem),
            _ => None,
        }
    }

    /// Whether it may pass by itself: the service is away, restarts, or has too much to do.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Lost { .. } => true,
            Self::Problem(problem) => problem.status == 503,
            Self::Unexpected(_) => false,
        }
    }

    /// The same about a request that changes nothing.
    pub(super) fn of_a_question(self) -> Self {
        match self {
            Self::Lost { service, reason, .. } => Self::Lost { service, reason, changes: false },
            other => other,
        }
    }

    /// What failed on the way there or back.
    pub(super) fn transport(error: &reqwest::Error, service: &'static str, variable: &'static str, base: &str) -> Self {
        let reason = if error.is_timeout() { "it took too long".to_owned() } else { root_cause(error) };
        if error.is_connect() {
            Self::Unreachable { service, base: base.to_owned(), variable, reason }
        } else {
            Self::Lost { service, reason, changes: true }
        }
    }
}

/// The innermost cause: the outer ones only repeat that a request failed.
pub(crate) fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let text = cause.to_string();
    // "Connection refused (os error 111)"
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}
