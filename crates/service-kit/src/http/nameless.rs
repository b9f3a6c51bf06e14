//! Gives a request id to the answers that hyper makes by itself.
//!
//! What is no HTTP, or has too long a head, never becomes a request: hyper answers it with a bare status and closes the
//! connection, and no layer of ours sees it. Here it is seen on its way out.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use uuid::Uuid;

use super::context::REQUEST_ID;

/// A stream on which every answer has an id.
#[derive(Debug)]
pub(super) struct Nameless<S> {
    stream: S,
    /// What is written in place of a bare answer, and how much of it is out.
    instead: Option<(Vec<u8>, usize)>,
}

impl<S> Nameless<S> {
    pub(super) fn new(stream: S) -> Self {
        Nameless { stream, instead: None }
    }
}

/// The answer with an id, if it is one of hyper's own: the start of one of ours always has an id and a body's type.
fn named(written: &[u8]) -> Option<Vec<u8>> {
    let bare = written.starts_with(b"HTTP/1.1 4") && written.ends_with(b"\r\n\r\n");
    let head = std::str::from_utf8(written).ok().filter(|head| bare && !head.contains(REQUEST_ID.as_str()))?;
    let (status, rest) = head.split_once("\r\n")?;
    Some(format!("{status}\r\n{REQUEST_ID}: {}\r\n{rest}", Uuid::now_v7()).into_bytes())
}

impl<S: AsyncRead + Unpin> AsyncRead for Nameless<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Nameless<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.instead.is_none() {
            this.instead = named(buf).map(|text| (text, 0));
        }
        let Some((text, out)) = &mut this.instead else { return Pin::new(&mut this.stream).poll_write(cx, buf) };
        // Whoever writes offers the same again until all of it is taken.
        while *out < text.len() {
            match Pin::new(&mut this.stream).poll_write(cx, &text[*out..]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => *out += count,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        this.instead = None;
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // A bare answer has no body, so it is alone.
        match bufs.iter().find(|buf| !buf.is_empty()) {
            Some(buf) if self.instead.is_some() || named(buf).is_some() => self.poll_write(cx, buf),
            _ => Pin::new(&mut self.stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn written(text: &[u8]) -> String {
        // Room for a few bytes at a time, so that every write is taken in parts.
        let (ours, mut theirs) = tokio::io::duplex(7);
        let text = text.to_vec();
        let writer = tokio::spawn(async move { Nameless::new(ours).write_all(&text).await });
        let mut all = String::new();
        theirs.read_to_string(&mut all).await.expect("text");
        writer.await.expect("no panic").expect("written");
        all
    }

    #[tokio::test]
    async fn a_bare_answer_gets_an_id() {
        let seen = written(b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\n\r\n").await;
        let (status, rest) = seen.split_once("\r\n").expect("lines");
        assert_eq!(status, "HTTP/1.1 431 Request Header Fields Too Large");
        let id = rest.strip_prefix("x-request-id: ").and_then(|rest| rest.split_once("\r\n")).expect("an id");
        assert_eq!(id.0.parse::<Uuid>().expect("a UUID").get_version_num(), 7);
        assert_eq!(id.1, "content-length: 0\r\n\r\n");
    }

    #[tokio::test]
    async fn what_has_an_id_stays_as_it_is() {
        for text in [
            "HTTP/1.1 405 Method Not Allowed\r\nx-request-id: mine\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 404 in a body\r\n",
        ] {
            assert_eq!(written(text.as_bytes()).await, text);
        }
    }
}
