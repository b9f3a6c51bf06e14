//! The page: plain HTML, CSS and modules of JavaScript, as they are in `web/`, put into the program when it is built.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use messaging::dead_letters::fingerprint;
use serde_json::{Value, json};

use super::Shared;
use super::problem::Problem;

/// The one page; which of its views is shown its own script finds out from the address.
const PAGE: &str = include_str!("web/index.html");

include!(concat!(env!("OUT_DIR"), "/web.rs"));

/// `/web/FILE`
pub(super) async fn file(Path(name): Path<String>, headers: HeaderMap) -> Response {
    match WEB.iter().find(|(known, _)| *known == name) {
        Some((name, text)) => answer(kind(name), text, &headers),
        None => Problem::not_found("There is no such file.").into_response(),
    }
}

/// `/api/runbooks/NAME`: what to do about an alert, as it is written in `docs/runbooks`.
pub(super) async fn runbook(
    State(console): State<Shared>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    console.sessions.of(&headers)?;
    let found = RUNBOOKS.iter().find(|(known, _)| *known == name);
    let (name, text) = found.ok_or_else(|| Problem::not_found("There is no such runbook."))?;
    Ok(Json(json!({"name": name, "text": text})))
}

/// Every other address is a view of the page.
pub(super) async fn page(uri: Uri, headers: HeaderMap) -> Response {
    if uri.path() == "/favicon.ico" {
        return answer("image/svg+xml", ICON, &headers);
    }
    answer("text/html; charset=utf-8", PAGE, &headers)
}

/// A burrow's mouth.
const ICON: &str = include_str!("web/icon.svg");

fn kind(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    }
}

/// The text, unless the browser has this very one. It asks each time, so a new version of the program is a new page.
fn answer(kind: &'static str, text: &'static str, headers: &HeaderMap) -> Response {
    let tag = format!("\"{:016x}\"", fingerprint([text.as_bytes()]));
    let known = headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let common = [(CACHE_CONTROL, "no-cache".to_owned()), (ETAG, tag)];
    match known {
        true => (StatusCode::NOT_MODIFIED, common).into_response(),
        false => (common, [(CONTENT_TYPE, kind)], text).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_comes_from_elsewhere_and_nothing_is_inline() {
        for (name, text) in WEB.iter().chain([&("index.html", PAGE)]) {
            let elsewhere = text.match_indices("http").map(|(at, _)| &text[at..]);
            let allowed = ["http://www.w3.org/2000/svg", "https://cloudevents.io"];
            let foreign: Vec<&str> = elsewhere
                .filter(|rest| rest.starts_with("http://") || rest.starts_with("https://"))
                .filter(|rest| !allowed.iter().any(|allowed| rest.starts_with(allowed)))
                .map(|rest| rest.lines().next().unwrap_or_default())
                .collect();
            assert_eq!(foreign, [""; 0], "{name}");
            for inline in
                ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", " style=\"", "onclick="]
            {
                assert!(!text.contains(inline), "{name} has {inline}");
            }
        }
        assert!(!PAGE.contains("<style") && !PAGE.contains("<script>"));
    }

    #[test]
    fn every_module_that_is_imported_is_there() {
        for (name, text) in WEB.iter().filter(|(name, _)| name.ends_with(".js")) {
            for part in text.split(" from '").skip(1) {
                let imported = part.split('\'').next().unwrap_or_default();
                let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
                let mut path: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
                for part in imported.split('/') {
                    match part {
                        "." => {}
                        ".." => drop(path.pop()),
                        part => path.push(part),
                    }
                }
                let path = path.join("/");
                assert!(WEB.iter().any(|(known, _)| *known == path), "{name} imports {imported}, which is {path}");
            }
        }
    }
}
