//! A collector of traces (OTLP over HTTP, in protobuf), which keeps what it gets.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{Span as Sent, span::SpanKind, status::StatusCode};
use prost::Message as _;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A collector. It ends with the test's runtime.
#[derive(Debug, Clone)]
pub struct Collector {
    address: SocketAddr,
    spans: Arc<Mutex<Vec<Span>>>,
}

/// A span as a service sent it; ids in hexadecimal digits.
#[derive(Debug, Clone)]
pub struct Span {
    /// Whose it is.
    pub service: String,
    /// What it is.
    pub name: String,
    /// Which part it plays.
    pub kind: SpanKind,
    /// The trace that it is a part of.
    pub trace_id: String,
    /// Its own.
    pub span_id: String,
    /// What it is a child of; empty where it is the first.
    pub parent_id: String,
    /// The spans that it links to.
    pub links: Vec<String>,
    /// What is said of it.
    pub attributes: BTreeMap<String, String>,
    /// What went wrong.
    pub error: Option<String>,
}

impl Span {
    /// What it says of itself under that name.
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

impl Collector {
    /// A collector that takes everything.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let collector = Self { address, spans: Arc::default() };
        let of_listener = collector.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let collector = of_listener.clone();
                // A client that goes away in the middle is not this collector's concern.
                tokio::spawn(async move { collector.serve(client).await.unwrap_or_default() });
            }
        });
        collector
    }

    /// The value of `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every span that it got so far.
    pub fn spans(&self) -> Vec<Span> {
        self.spans.lock().expect("nobody panics with the lock").clone()
    }

    /// Every span of that trace that it got so far.
    pub fn trace(&self, trace_id: &str) -> Vec<Span> {
        self.spans().into_iter().filter(|span| span.trace_id == trace_id).collect()
    }

    /// One connection, with any number of requests.
    async fn serve(&self, client: TcpStream) -> std::io::Result<()> {
        let mut client = BufReader::new(client);
        loop {
            let (mut first, mut line, mut length) = (String::new(), String::new(), 0);
            if client.read_line(&mut first).await? == 0 {
                return Ok(());
            }
            while line != "\r\n" {
                line.clear();
                client.read_line(&mut line).await?;
                if let Some((name, value)) = line.split_once(':')
                    && name.eq_ignore_ascii_case("content-length")
                {
                    length = value.trim().parse().map_err(std::io::Error::other)?;
                }
            }
            let mut body = vec![0; length];
            client.read_exact(&mut body).await?;
            let taken = first.starts_with("POST /v1/traces ") && self.take(&body);
            let status = if taken { "200 OK" } else { "400 Bad Request" };
            let answer = ExportTraceServiceResponse::default().encode_to_vec();
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
                answer.len()
            );
            client.write_all(&[head.as_bytes(), &answer].concat()).await?;
        }
    }

    fn take(&self, body: &[u8]) -> bool {
        let Ok(request) = ExportTraceServiceRequest::decode(body) else { return false };
        let mut spans = self.spans.lock().expect("nobody panics with the lock");
        for of_resource in request.resource_spans {
            let service = service_name(of_resource.resource.as_ref());
            let sent = of_resource.scope_spans.into_iter().flat_map(|of_scope| of_scope.spans);
            spans.extend(sent.map(|sent| read(&service, sent)));
        }
        true
    }
}

fn service_name(resource: Option<&Resource>) -> String {
    let attributes = attributes(resource.map(|resource| resource.attributes.as_slice()).unwrap_or_default());
    attributes.get("service.name").cloned().unwrap_or_default()
}

fn read(service: &str, sent: Sent) -> Span {
    let failed = sent.status.filter(|status| status.code() == StatusCode::Error);
    Span {
        service: service.to_owned(),
        kind: SpanKind::try_from(sent.kind).unwrap_or_default(),
        trace_id: hex(&sent.trace_id),
        span_id: hex(&sent.span_id),
        parent_id: hex(&sent.parent_span_id),
        links: sent.links.iter().map(|link| hex(&link.span_id)).collect(),
        attributes: attributes(&sent.attributes),
        error: failed.map(|status| status.message),
        name: sent.name,
    }
}

fn attributes(pairs: &[KeyValue]) -> BTreeMap<String, String> {
    let value = |pair: &KeyValue| match pair.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    pairs.iter().map(|pair| (pair.key.clone(), value(pair))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
