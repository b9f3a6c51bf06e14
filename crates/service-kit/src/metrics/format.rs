//! The two text formats that scrapers read, and which of them one asks for.

use axum::http::HeaderValue;

/// A text format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// What every scraper reads, and a person who asks by hand: Prometheus' own text format.
    Prometheus,
    /// OpenMetrics 1.0, which Prometheus asks for by name.
    OpenMetrics,
}

const OPEN_METRICS: &str = "application/openmetrics-text";

impl Format {
    /// The format for a request with these `Accept` headers (RFC 9110, section 12.5.1): OpenMetrics for who names it and
    /// wants it no less than plain text.
    pub fn accepted<'a>(accept: impl IntoIterator<Item = &'a HeaderValue>) -> Self {
        let values: Vec<&str> = accept.into_iter().filter_map(|value| value.to_str().ok()).collect();
        let (mut open, mut plain) = (0.0, 0.0);
        for range in values.iter().flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(|part| part.trim().to_ascii_lowercase());
            let media_type = parts.next().unwrap_or_default();
            let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f64>().ok()).unwrap_or(1.0);
            match media_type.as_str() {
                OPEN_METRICS => open = weight.max(open),
                "text/plain" => plain = weight.max(plain),
                _ => {}
            }
        }
        if open > 0.0 && open >= plain { Format::OpenMetrics } else { Format::Prometheus }
    }

    /// The media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Format::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// An exposition in this format, from one of OpenMetrics, which is what the registry writes.
    ///
    /// The samples are the same in both. What stands above them differs: in the older format a counter is called as its
    /// sample is, there are no units and types of later times, and nothing marks the end.
    pub(super) fn of_open_metrics(self, text: String) -> String {
        if self == Format::OpenMetrics {
            return text;
        }
        let mut plain = String::with_capacity(text.len());
        let mut help = None;
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                help = rest.split_once(' ');
            } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
                let (suffix, kind) = match kind {
                    "counter" => ("_total", "counter"),
                    "info" => ("_info", "gauge"),
                    "stateset" => ("", "gauge"),
                    "unknown" => ("", "untyped"),
                    same => ("", same),
                };
                if let Some((_, words)) = help.take().filter(|(helped, _)| *helped == name) {
                    plain += &format!("# HELP {name}{suffix} {words}\n");
                }
                plain += &format!("# TYPE {name}{suffix} {kind}\n");
            } else if !line.starts_with('#') {
                plain += line;
                plain.push('\n');
            }
        }
        plain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_metrics_is_for_who_names_it() {
        let accepted = |accept: &[&str]| {
            let accept: Vec<HeaderValue> = accept.iter().map(|value| value.parse().expect("a header")).collect();
            Format::accepted(&accept)
        };
        for plain in [
            &[][..],
            &["*/*"],
            &["text/plain"],
            &["text/html, */*;q=0.1"],
            &["text/plain;version=0.0.4;q=1,*/*;q=0.1"],
            &["application/openmetrics-text;version=1.0.0;q=0.2, text/plain;version=0.0.4;q=0.3"],
            &["application/openmetrics-text;q=0"],
        ] {
            assert_eq!(accepted(plain), Format::Prometheus, "{plain:?}");
        }
        for open in [
            &["application/openmetrics-text"][..],
            &["text/plain;q=0.5", "Application/OpenMetrics-Text; version=1.0.0"],
            // What Prometheus 2.42 sends.
            &[
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            ],
        ] {
            assert_eq!(accepted(open), Format::OpenMetrics, "{open:?}");
        }
    }

    #[test]
    fn the_older_format_names_counters_as_their_samples() {
        let text = "# HELP things Things.\n# TYPE things counter\nthings_total 1\n# HELP size_bytes Size.\n\
                    # TYPE size_bytes gauge\n# UNIT size_bytes bytes\nsize_bytes{of=\"# x\"} 2.0\n# EOF\n";
        let plain = "# HELP things_total Things.\n# TYPE things_total counter\nthings_total 1\n# HELP size_bytes Size.\n\
                     # TYPE size_bytes gauge\nsize_bytes{of=\"# x\"} 2.0\n";
        assert_eq!(Format::Prometheus.of_open_metrics(text.to_owned()), plain);
        assert_eq!(Format::OpenMetrics.of_open_metrics(text.to_owned()), text);
    }
}
