//! The system in the words of its business: products, customers, orders.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::Connection as _;
use uuid::Uuid;

use crate::audit::ROUTES;
use crate::http::Answer;
use crate::system::System;
use crate::waiting::{PATIENCE, check, eventually};

/// A customer of the shop.
#[derive(Debug, Clone)]
pub struct Customer {
    /// The id.
    pub id: String,
    /// The name, which is like no other text.
    pub name: String,
    /// The address, which is like no other text.
    pub email: String,
}

/// The statuses that an order ends in.
pub const FINAL: [&str; 2] = ["confirmed", "cancelled"];

/// The text of a field that must be one.
///
/// # Panics
/// When it is not.
#[track_caller]
pub fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("{field} is no text in {value}"))
}

/// The number of a field that must be a whole one.
///
/// # Panics
/// When it is not.
#[track_caller]
pub fn number(value: &Value, field: &str) -> i64 {
    value[field].as_i64().unwrap_or_else(|| panic!("{field} is no whole number in {value}"))
}

/// A product's definition.
pub fn product(name: &str, cents: i64) -> Value {
    json!({"name": name, "unit_price": {"amount": cents, "currency": "EUR"}, "active": true})
}

/// The body of a new order.
pub fn order_of(customer_id: &str, lines: &[(&str, i64)], payment_method: &str) -> Value {
    let lines: Vec<Value> = lines.iter().map(|(sku, quantity)| json!({"sku": sku, "quantity": quantity})).collect();
    json!({"customer_id": customer_id, "lines": lines, "payment_method": payment_method})
}

impl System {
    /// Puts a product on sale with so many on hand, and waits until `order` knows its price.
    pub async fn sell(&self, sku: &str, cents: i64, on_hand: i64) {
        self.define(sku, &product(&format!("Product {sku}"), cents)).await;
        if on_hand > 0 {
            let delta = json!({"delta": on_hand, "reason": "delivery"});
            self.inventory.api().post(&format!("/v1/products/{sku}/stock"), &delta).await.expect(200);
        }
    }

    /// Defines a product, and waits until `order` knows it.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn define(&self, sku: &str, definition: &Value) {
        let answer = self.inventory.api().put(&format!("/v1/products/{sku}"), definition).await;
        assert!([200, 201].contains(&answer.status), "{answer}");
        self.prices_arrived().await;
    }

    /// Waits until `order` has taken all prices that inventory has published.
    pub async fn prices_arrived(&self) {
        eventually("order knows the prices", PATIENCE, async || {
            let missing = self.missing_effects("inventory", "order", &["product.changed"]).await;
            check(missing == 0, || format!("{missing} events have not arrived"))
        })
        .await;
    }

    /// How many events of these types that one service has published have had no effect in another.
    ///
    /// # Panics
    /// When a database is away.
    pub async fn missing_effects(&self, publisher: &str, consumer: &str, types: &[&str]) -> usize {
        let mut from = self.database(publisher).connect().await;
        let mut to = self.database(consumer).connect().await;
        let types: Vec<String> = types.iter().map(|name| (*name).to_owned()).collect();
        let published: Vec<Uuid> = sqlx::query_scalar("select id from event where type = any($1)")
            .bind(types)
            .fetch_all(&mut from)
            .await
            .expect("the event log is there");
        let arrived: i64 = sqlx::query_scalar("select count(*) from inbox where id = any($1)")
            .bind(&published)
            .fetch_one(&mut to)
            .await
            .expect("the inbox is there");
        let _ = tokio::join!(from.close(), to.close());
        published.len() - usize::try_from(arrived).expect("a count")
    }

    /// The latest events that a consumer was sent, in their envelopes, latest first.
    ///
    /// # Panics
    /// When a database is away.
    pub async fn latest_events_to(&self, consumer: &str, count: usize) -> Vec<Value> {
        let mut latest = Vec::new();
        for (publisher, _, types) in ROUTES.into_iter().filter(|(_, to, _)| *to == consumer) {
            let mut from = self.database(publisher).connect().await;
            let types: Vec<String> = types.iter().map(|name| (*name).to_owned()).collect();
            let rows = sqlx::query_scalar(
                "select json_strip_nulls(json_build_object('specversion', '1.0', 'id', id, 'source', '/warren/' || $1, 'type', type,
                        'dataschema', 'urn:warren:' || type || ':' || version, 'subject', subject,
                        'sequence', sequence::text, 'time', time, 'datacontenttype', 'application/json',
                        'correlationid', correlation_id, 'causationid', causation_id, 'data', data))
                 from event where type = any($2) order by position desc limit $3",
            )
            .bind(publisher)
            .bind(types)
            .bind(i64::try_from(count).expect("a small number"))
            .fetch_all(&mut from)
            .await;
            latest.extend(rows.expect("the event log is there"));
            let _ = from.close().await;
        }
        latest
    }

    /// Registers a customer whose name and address must not be seen in logs.
    pub async fn customer(&self) -> Customer {
        let tag = Uuid::new_v4().simple().to_string();
        let name = format!("Ada Canary-{}", &tag[..12]);
        let email = format!("ada-{}@canary.example", &tag[..12]);
        self.remember_personal(&name);
        self.remember_personal(&email);
        let created = self.order.api().post("/v1/customers", &json!({"name": name, "email": email})).await.expect(201);
        Customer { id: text(&created, "id").to_owned(), name, email }
    }

    /// Places an order that is paid by `sandbox:ok`, and returns it.
    pub async fn place(&self, customer: &Customer, lines: &[(&str, i64)]) -> Value {
        self.place_paid_by(customer, lines, "sandbox:ok").await
    }

    /// Places an order, and returns it.
    pub async fn place_paid_by(&self, customer: &Customer, lines: &[(&str, i64)], payment_method: &str) -> Value {
        self.try_place(&order_of(&customer.id, lines, payment_method)).await.expect(201)
    }

    /// Tries to place an order.
    pub async fn try_place(&self, body: &Value) -> Answer {
        self.order.api().post("/v1/orders", body).await
    }

    /// The order as it is now.
    pub async fn show(&self, order_id: &str) -> Value {
        self.order.api().get(&format!("/v1/orders/{order_id}")).await.expect(200)
    }

    /// Cancels an order, and returns it.
    pub async fn cancel(&self, order_id: &str) -> Value {
        let path = format!("/v1/orders/{order_id}/cancel");
        self.order.api().post(&path, &json!({"reason": "changed my mind"})).await.expect(202)
    }

    /// Makes all orders, which are all pending, two minutes older: an order's id tells its age, so they have other ids then.
    pub async fn age_orders(&self) {
        let sql = "
            create temporary table older as
                select id as young, (lpad(to_hex(('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint - 120000), 12, '0')
                                     || right(replace(id::text, '-', ''), 20))::uuid as old from orders;
            update orders set id = old, created_at = created_at - interval '2 minutes', updated_at = updated_at - interval '2 minutes'
            from older where id = young;
            update event set subject = old::text, time = time - interval '2 minutes',
                             data = replace(data::text, young::text, old::text)::json
            from older where subject = young::text";
        self.database("order").execute(sql).await;
    }

    /// Waits until the order is in one of these statuses, and returns it.
    pub async fn reaches(&self, order_id: &str, statuses: &[&str]) -> Value {
        eventually(&format!("order {order_id} is {}", statuses.join(" or ")), PATIENCE, async || {
            let answer = self.order.api().get(&format!("/v1/orders/{order_id}")).await;
            // a session that a fault has ended is found by the first who uses it
            if answer.status == 503 {
                return Err(answer.to_string());
            }
            let order = answer.expect(200);
            if statuses.contains(&text(&order, "status")) { Ok(order) } else { Err(order.to_string()) }
        })
        .await
    }

    /// Waits until the order is final, and returns it.
    pub async fn settled(&self, order_id: &str) -> Value {
        self.reaches(order_id, &FINAL).await
    }

    /// Waits until the payment of the order is in this status.
    pub async fn payment_reaches(&self, order_id: &str, status: &str) -> Value {
        eventually(&format!("the payment of {order_id} is {status}"), PATIENCE, async || {
            let order = self.show(order_id).await;
            if order["payment"]["status"] == status { Ok(order) } else { Err(order.to_string()) }
        })
        .await
    }

    /// The history of an order: envelopes, oldest first.
    pub async fn history(&self, order_id: &str) -> Vec<Value> {
        let events = self.order.api().get(&format!("/v1/orders/{order_id}/events")).await.expect(200);
        events["items"].as_array().expect("a list has items").clone()
    }

    /// The stock of a product.
    pub async fn stock(&self, sku: &str) -> Value {
        self.inventory.api().get(&format!("/v1/products/{sku}/stock")).await.expect(200)
    }

    /// Waits until the stock of a product is so much.
    pub async fn stock_reaches(&self, sku: &str, on_hand: i64, reserved: i64) {
        let expected = json!({"on_hand": on_hand, "reserved": reserved, "available": on_hand - reserved});
        eventually(&format!("the stock of {sku} is {expected}"), PATIENCE, async || {
            let stock = self.stock(sku).await;
            check(stock == expected, || stock.to_string())
        })
        .await;
    }

    /// Waits until there is a mail to this address of whose subject or text `fits` holds, and returns it.
    pub async fn mail_to(
        &self,
        address: &str,
        what: &str,
        fits: impl Fn(&crate::mailbox::Mail) -> bool,
    ) -> crate::mailbox::Mail {
        eventually(&format!("a mail to {address} {what}"), PATIENCE, async || {
            let mails = self.mailbox.to(address);
            mails.iter().find(|mail| fits(mail)).cloned().ok_or_else(|| format!("{mails:?}"))
        })
        .await
    }

    /// The mails that `email` tells of, once there are so many; `filter` is a query.
    pub async fn mails_told(&self, filter: &str, count: usize) -> Vec<Value> {
        eventually(&format!("email tells of {count} sent mails with {filter}"), PATIENCE, async || {
            let mails = self.email.api().list(&format!("/v1/emails?{filter}")).await;
            let sent = mails.iter().filter(|mail| mail["status"] == "sent").count();
            if mails.len() == count && sent == count { Ok(mails) } else { Err(format!("{mails:?}")) }
        })
        .await
    }
}

/// How long something is watched that must not happen.
pub const QUIET: Duration = Duration::from_secs(2);
