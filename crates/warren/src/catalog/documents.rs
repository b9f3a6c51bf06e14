//! The committed schemas and fixtures, as they were when this program was built.

include!(concat!(env!("OUT_DIR"), "/documents.rs"));

/// The document of that name, `order.created.v2`, out of [`SCHEMAS`] or [`FIXTURES`].
pub(crate) fn find(documents: &[(&'static str, &'static str)], name: &str) -> Option<&'static str> {
    documents.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}
