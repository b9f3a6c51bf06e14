//! Customers over HTTP.

use axum::http::StatusCode;
use serde_json::json;

use crate::shop::Shop;

#[tokio::test]
async fn a_customer_changes_under_its_version() {
    let shop = Shop::open().await;
    let id = shop.customer("a@example.com").await;
    shop.customer("b@example.com").await;
    let path = format!("/v1/customers/{id}");
    let change = Some(json!({"email": "c@example.com"}));
    let (status, headers, _) = shop.call_raw("PATCH", &path, &[("if-match", "\"1\"")], change.clone()).await;
    assert_eq!((status, headers["etag"].to_str().unwrap()), (StatusCode::OK, "\"2\""));
    let (status, _) = shop.call("PATCH", &path, &[("if-match", "\"1\"")], Some(json!({"name": "Eve"}))).await;
    assert_eq!(status, StatusCode::PRECONDITION_FAILED);
    let (_, headers, _) = shop.call_raw("PATCH", &path, &[], change).await;
    assert_eq!(headers["etag"], "\"2\"", "the same again changes nothing");
    let (status, body) = shop.call("PATCH", &path, &[], Some(json!({"email": "B@example.com"}))).await;
    assert_eq!((status.as_u16(), &body["type"]), (409, &json!("/problems/email-taken")), "whatever the case");
    let (status, body) =
        shop.call("POST", "/v1/customers", &[], Some(json!({"name": "C", "email": "c@example.com"}))).await;
    assert_eq!((status.as_u16(), &body["type"]), (409, &json!("/problems/email-taken")));
    for bad in ["", "x", "@x", "x@", "a b@x.de", "a@x..de", "a@-x.de", "a\u{0}@x.de", ".a@x.de", "ä@x.de"] {
        let (status, _) = shop.call("PATCH", &path, &[], Some(json!({"email": bad}))).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{bad:?}");
    }
}
