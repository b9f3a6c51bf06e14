//! What an event inherits from whatever set it off.

/// Carried from a request or a received event to all that follows from it. The library copies it; handlers never touch it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The same for all that one request set off.
    pub correlation_id: String,
    /// The event or request that is being handled.
    pub causation_id: Option<String>,
    /// The trace that it belongs to (W3C Trace Context).
    pub traceparent: Option<String>,
}

impl Context {
    /// For what a request sets off.
    pub fn of_request(request_id: &str, traceparent: &str) -> Self {
        Self {
            correlation_id: request_id.to_owned(),
            causation_id: Some(request_id.to_owned()),
            traceparent: Some(traceparent.to_owned()),
        }
    }
}
