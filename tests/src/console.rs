//! A console that runs beside a system.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::environment::environment;
use crate::http::{Answer, Api, Call};
use crate::system::System;
use crate::waiting::{check, eventually};

/// How long it may take to start.
const START_LIMIT: Duration = Duration::from_secs(60);

/// What an answer of the console's holds.
pub trait Told {
    /// Its body, if it has that status.
    ///
    /// # Panics
    /// When it has another.
    fn is(&self, status: u16) -> Value;
}

impl Told for Answer {
    #[track_caller]
    fn is(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self}");
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// A console.
#[derive(Debug)]
pub struct Console {
    /// Its address.
    pub url: String,
    _child: Child,
}

impl Console {
    /// The console of that system, on a port that the system of this machine chooses. It is given no token and no key.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn of(system: &System) -> Self {
        let told = system.order.variables().clone();
        let mut variables = BTreeMap::from([
            ("AMQP_URL", system.broker.url(None)),
            ("PAYMENT_WEBHOOK_SECRET", told["PAYMENT_WEBHOOK_SECRET"].clone()),
            ("RETRY_DELAYS", told["RETRY_DELAYS"].clone()),
            ("RABBITMQ_MANAGEMENT_URL", environment().management_url.clone()),
        ]);
        for (name, service) in
            [("ORDER_URL", &system.order), ("INVENTORY_URL", &system.inventory), ("EMAIL_URL", &system.email)]
        {
            variables.insert(name, format!("http://{}", service.variables()["HTTP_ADDR"]));
        }
        let mut command = Command::new(environment().bin_dir.join("warren"));
        command.args(["console", "--listen", "127.0.0.1:0"]).envs(variables);
        for name in ["WARREN_TOKEN", "AUTH_HS256_SECRET", "CONSOLE_ADDR", "CONSOLE_HOSTS"] {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("warren is built");
        let said = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut lines = said.lines();
        let url = loop {
            let line = lines.next_line().await.expect("it can be read").expect("the console says where it is");
            if let Some(url) = line.strip_prefix("the console: ") {
                break url.to_owned();
            }
        };
        // whoever does not read what is said stops who says it
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                eprintln!("console: {line}")
            }
        });
        let console = Self { url, _child: child };
        eventually("the console answers", START_LIMIT, async || {
            let answer = console.get("/livez", None).try_send().await?;
            check(answer.status == 200, || answer.body)
        })
        .await;
        console
    }

    /// GETs, with a cookie.
    pub fn get(&self, path: &str, cookie: Option<&str>) -> Call {
        let call = Api::new(self.url.clone(), None).call(Method::GET, path);
        match cookie {
            Some(cookie) => call.header("cookie", cookie),
            None => call,
        }
    }

    /// As its own page asks.
    pub fn ask(&self, method: Method, path: &str, cookie: Option<&str>) -> Call {
        let call = Api::new(self.url.clone(), None).call(method, path);
        let call = call.header("origin", &self.url).header("x-warren-console", "1");
        match cookie {
            Some(cookie) => call.header("cookie", cookie),
            None => call,
        }
    }

    /// Signs in, and returns the answer.
    pub async fn try_sign_in(&self, token: &str) -> Answer {
        self.ask(Method::POST, "/api/session", None).json(&json!({"token": token})).send().await
    }

    /// Signs in, and returns the cookie.
    pub async fn sign_in(&self, token: &str) -> String {
        let answer = self.try_sign_in(token).await;
        let cookie =
            answer.headers.get("set-cookie").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        answer.is(200);
        cookie.split(';').next().unwrap_or_default().to_owned()
    }
}
