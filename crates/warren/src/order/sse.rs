//! Server-sent events, as the HTML standard defines the format; as much of it as our services send.

/// One event.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ServerSentEvent {
    /// Its id, with which a stream is resumed.
    pub(super) id: String,
    /// Its data.
    pub(super) data: String,
}

/// Takes the bytes of a stream as they come, and gives its events.
#[derive(Debug, Default)]
pub(super) struct Parser {
    /// What has come of a line that has not ended yet.
    rest: Vec<u8>,
    id: String,
    data: Option<String>,
}

impl Parser {
    /// The events that end within these bytes.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<ServerSentEvent> {
        self.rest.extend_from_slice(bytes);
        let mut events = Vec::new();
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            events.extend(self.line(line.trim_end_matches(['\n', '\r'])));
        }
        events
    }

    /// An empty line ends an event; one that begins with a colon is a comment, which is how heartbeats come.
    fn line(&mut self, line: &str) -> Option<ServerSentEvent> {
        if line.is_empty() {
            let data = self.data.take()?;
            return Some(ServerSentEvent { id: self.id.clone(), data });
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.id = value.to_owned(),
            "data" => match &mut self.data {
                None => self.data = Some(value.to_owned()),
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
            },
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str, data: &str) -> ServerSentEvent {
        ServerSentEvent { id: id.to_owned(), data: data.to_owned() }
    }

    #[test]
    fn events_come_whole_however_the_bytes_come() {
        let text = ": hello\n\nid: 1\nevent: order.created\ndata: {\"a\":\ndata: 1}\n\n:\n\nid:2\r\ndata:{}\r\n\r\nid: 3\ndata: {";
        let expected = [event("1", "{\"a\":\n1}"), event("2", "{}")];
        assert_eq!(Parser::default().take(text.as_bytes()), expected);
        let mut parser = Parser::default();
        let one_by_one: Vec<_> = text.bytes().flat_map(|byte| parser.take(&[byte])).collect();
        assert_eq!(one_by_one, expected);
    }
}
