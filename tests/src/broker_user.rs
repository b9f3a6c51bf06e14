//! A user of the broker, and what this user may do.

use reqwest::Method;
use serde_json::{Value, json};

use crate::broker::{Vhost, broker_address, manage};

/// Somebody who may do a few things in one vhost.
#[derive(Debug)]
pub struct User {
    name: String,
    vhost: String,
}

impl User {
    /// Makes a user who may do nothing yet.
    pub async fn create(vhost: &Vhost, name: &str) -> Self {
        let user = User { name: format!("{}-{name}", vhost.name()), vhost: vhost.name().to_owned() };
        manage(Method::PUT, &format!("/api/users/{}", user.name), json!({"password": "secret", "tags": ""})).await;
        user
    }

    /// The URL by which this user comes.
    pub fn url(&self) -> String {
        format!("amqp://{}:secret@{}/{}", self.name, broker_address(), self.vhost)
    }

    /// Gives rights, and takes away all others: what may be configured, written and read, as regular expressions.
    pub async fn permit(&self, (configure, write, read): (&str, &str, &str)) {
        let permissions = json!({"configure": configure, "write": write, "read": read});
        manage(Method::PUT, &format!("/api/permissions/{}/{}", self.vhost, self.name), permissions).await;
    }

    /// Deletes the user.
    pub async fn delete(&self) {
        manage(Method::DELETE, &format!("/api/users/{}", self.name), Value::Null).await;
    }
}
