//! `/v1/emails`: the log of mails.

use axum::Json;
use axum::extract::State;
use axum::http::header::{CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::response::{Html, IntoResponse};
use contracts::envelope::time_text;
use contracts::values::OrderId;
use serde::{Deserialize, Serialize};
use service_kit::http::auth::{Staff, scope};
use service_kit::http::extract::{NoQuery, Path, Query};
use service_kit::http::page::{Cursor, Limit, Page};
use service_kit::http::problem::Problem;
use uuid::Uuid;

use super::App;
use crate::mail::{Content, Template, masked};
use crate::store::log::{self, Filter, Logged};
use crate::templates::About;

/// A mail is a document of its own: it may style itself, and nothing else. No script, no request, no frame around it.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox";

/// How a recipient is addressed in a preview as long as nothing is known of them.
const UNKNOWN_NAME: &str = "(not known yet)";

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Status {
    Queued,
    InDoubt,
    Sent,
    Failed,
}

impl Status {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::InDoubt => "in-doubt",
            Self::Sent => "sent",
            Self::Failed => "failed",
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    order_id: Option<Uuid>,
    customer_id: Option<Uuid>,
    status: Option<Status>,
    #[serde(default)]
    limit: Limit,
    cursor: Option<Cursor>,
}

/// A mail as staff see it. The recipient is masked, and `null` as long as it is not known.
#[derive(Debug, Serialize)]
pub(super) struct Email {
    id: Uuid,
    template: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_id: Option<Uuid>,
    recipient: Option<String>,
    status: String,
    attempts: i16,
    message_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_at: Option<String>,
}

impl Email {
    fn new(mail: Logged, operators: Option<&str>) -> Self {
        let recipient = mail.recipient.as_deref().or(operators.filter(|_| mail.customer_id.is_none())).map(masked);
        let sent_at = mail.answered_at.filter(|_| mail.status == Status::Sent.as_str());
        Self {
            id: mail.id,
            template: mail.template,
            order_id: mail.order_id,
            customer_id: mail.customer_id,
            recipient,
            status: mail.status,
            attempts: mail.attempts,
            message_id: mail.message_id,
            error: mail.error,
            created_at: time_text(&mail.created_at),
            sent_at: sent_at.as_ref().map(time_text),
        }
    }
}

/// `GET /v1/emails?order_id=&customer_id=&status=&limit=&cursor=`: newest first.
pub(super) async fn list(
    _: Staff<scope::EmailsRead>,
    Query(parameters): Query<Parameters>,
    State(app): State<App>,
) -> Result<Json<Page<Email>>, Problem> {
    let Parameters { order_id, customer_id, status, limit, cursor } = parameters;
    let name = format!("emails {order_id:?} {customer_id:?} {status:?}");
    let before = cursor.map(|cursor| cursor.open(&name)).transpose()?;
    let filter = Filter { order_id, customer_id, status: status.map(Status::as_str), before };
    let mails = log::list(&mut *app.pool.acquire().await?, &filter, limit.probe()).await?;
    let operators = app.operators.as_ref().map(AsRef::<str>::as_ref);
    Ok(Json(Page::new(mails, limit, &name, |mail| mail.id, |mail| Email::new(mail, operators))))
}

/// `GET /v1/emails/{id}/preview`: the page as it was handed over, or as it would be now.
pub(super) async fn preview(
    _: Staff<scope::EmailsRead>,
    Path(id): Path<Uuid>,
    _: NoQuery,
    State(app): State<App>,
) -> Result<impl IntoResponse + use<>, Problem> {
    let page = log::page(&mut *app.pool.acquire().await?, id).await?;
    let page = page.ok_or_else(|| Problem::not_found("There is no such mail."))?;
    let html = match page.html {
        Some(html) => html,
        None => render(&app, &page).ok_or_else(|| {
            tracing::error!(mail = %id, template = page.template, "a mail cannot be shown");
            Problem::internal()
        })?,
    };
    Ok(([(CONTENT_SECURITY_POLICY, CONTENT_POLICY), (X_CONTENT_TYPE_OPTIONS, "nosniff")], Html(html)))
}

fn render(app: &App, page: &log::Page) -> Option<String> {
    let content = Content::from_json(Template::named(&page.template)?, &page.data).ok()?;
    let about = About { name: page.name.as_deref().unwrap_or(UNKNOWN_NAME), order_id: page.order_id.map(OrderId) };
    app.templates.render(about, &content).ok().map(|rendered| rendered.html)
}
