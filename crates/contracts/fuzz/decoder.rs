// What holds for the decoder of envelopes, whatever bytes come: checked by the fuzz target, and by the test that replays
// the corpus (`tests/corpus.rs`), which both include this file.

use contracts::catalogue::find;
use contracts::envelope::Envelope;
use contracts::event::{DecodeError, MAX_EVENT_BYTES};

/// The longest that an error's text may be: it names a place by our own field names.
const MAX_ERROR: usize = 200;

/// Decodes `bytes` as a consumer does. It may refuse, but in words of its own; what it takes, it also takes after it has
/// travelled on, and as the same.
///
/// # Panics
/// When that is not so.
pub(crate) fn decode(bytes: &[u8]) {
    let envelope = match Envelope::from_json(bytes) {
        Ok(envelope) => envelope,
        Err(error) => return assert_impersonal(&error),
    };
    let understood = consumed(&envelope);
    let sent_on = serde_json::to_vec(&envelope).expect("an envelope can be written");
    if sent_on.len() > MAX_EVENT_BYTES {
        return;
    }
    let again = Envelope::from_json(&sent_on).expect("what was taken is taken again");
    assert_eq!(consumed(&again), understood, "it is understood as before");
    assert_eq!(serde_json::to_vec(&again).expect("an envelope can be written"), sent_on, "it is written as before");
}

/// What a consumer of its type makes of it.
fn consumed(envelope: &Envelope<'_>) -> Result<(), DecodeError> {
    let result = match find(&envelope.event_type) {
        Some(event) => (event.check)(envelope),
        None => Err(DecodeError::UnknownType),
    };
    if let Err(error) = &result {
        assert_impersonal(error);
    }
    result
}

/// The texts of errors travel in headers and logs, so nothing of a message may be in them.
fn assert_impersonal(error: &DecodeError) {
    let text = error.to_string();
    let ours = |char: char| char.is_ascii_graphic() || char == ' ';
    assert!(text.len() <= MAX_ERROR && text.chars().all(ours), "{text:?}");
    assert!(!text.contains(SECRET), "{text:?}");
}

/// A word that stands for what a message holds: the corpus is full of it, and no error may repeat it.
const SECRET: &str = "s3cr3t";
