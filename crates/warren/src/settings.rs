//! Where things are and who we are: the variables of `.dev/env`, as options or in the environment.
//!
//! Each variable `NAME` is also read from the file that `NAME_FILE` names, for secrets that an orchestrator mounts; an
//! empty one counts as unset, because shells make empty ones where unset was meant. The services read theirs the same way.

use std::ffi::OsString;
use std::path::Path;

use clap::Args;
use contracts::event::Service;
use messaging::settings::AmqpUrls;

use crate::client::{Client, Services};
use crate::failure::Usage;
use crate::token::{self, Claims};

/// How long a token lives that is made for one command: longer than any command but `watch` runs.
const OWN_TOKEN_TTL: std::time::Duration = std::time::Duration::from_hours(24);

/// The options that every command knows.
#[derive(Args)]
#[command(next_help_heading = "Where things are (each also as NAME_FILE, the name of a file that holds the value)")]
pub(crate) struct Settings {
    /// The order service [env: ORDER_URL] [default: http://127.0.0.1:8080]
    #[arg(long, global = true, value_name = "URL")]
    order_url: Option<String>,

    /// The inventory service [env: INVENTORY_URL] [default: http://127.0.0.1:8081]
    #[arg(long, global = true, value_name = "URL")]
    inventory_url: Option<String>,

    /// The email service [env: EMAIL_URL]
    #[arg(long, global = true, value_name = "URL")]
    email_url: Option<String>,

    /// RabbitMQ: amqp:// or amqps://, several nodes separated by commas [env: AMQP_URL]
    #[arg(long, global = true, value_name = "URL")]
    amqp_url: Option<String>,

    /// RabbitMQ's management interface: http://HOST:15672 [env: RABBITMQ_MANAGEMENT_URL]
    #[arg(long, global = true, value_name = "URL")]
    rabbitmq_management_url: Option<String>,

    /// The bearer token to call with [env: WARREN_TOKEN] [default: one made from AUTH_HS256_SECRET]
    #[arg(long, global = true, value_name = "JWT")]
    warren_token: Option<String>,

    /// The services' secret, to make tokens with [env: AUTH_HS256_SECRET]
    #[arg(long, global = true, value_name = "SECRET")]
    auth_hs256_secret: Option<String>,

    /// The `iss` of tokens that are made [env: AUTH_ISSUER]
    #[arg(long, global = true, value_name = "TEXT")]
    auth_issuer: Option<String>,

    /// The `aud` of tokens that are made [env: AUTH_AUDIENCE]
    #[arg(long, global = true, value_name = "TEXT")]
    auth_audience: Option<String>,
}

/// The default addresses of the services (email has none here: whether it is looked at is a choice).
const ORDER_DEFAULT: &str = "http://127.0.0.1:8080";
const INVENTORY_DEFAULT: &str = "http://127.0.0.1:8081";

/// The default address of the email service, where a command asks all services.
const EMAIL_DEFAULT: &str = "http://127.0.0.1:8082";

impl Settings {
    /// The order service.
    ///
    /// # Errors
    /// [`Usage`] when a variable of these is wrong.
    pub(crate) fn order(&self) -> anyhow::Result<Client> {
        let url = variable("ORDER_URL", self.order_url.as_deref())?;
        Client::new("order", "ORDER_URL", url.as_deref().unwrap_or(ORDER_DEFAULT), self.bearer()?)
    }

    /// The inventory service.
    ///
    /// # Errors
    /// As [`Settings::order`].
    pub(crate) fn inventory(&self) -> anyhow::Result<Client> {
        let url = variable("INVENTORY_URL", self.inventory_url.as_deref())?;
        Client::new("inventory", "INVENTORY_URL", url.as_deref().unwrap_or(INVENTORY_DEFAULT), self.bearer()?)
    }

    /// The email service, if we were told where it is.
    ///
    /// # Errors
    /// As [`Settings::order`].
    pub(crate) fn email(&self) -> anyhow::Result<Option<Client>> {
        let url = variable("EMAIL_URL", self.email_url.as_deref())?;
        url.map(|url| Client::new("email", "EMAIL_URL", &url, self.bearer()?)).transpose()
    }

    /// A service, at its default address where we were told none.
    ///
    /// # Errors
    /// As [`Settings::order`].
    pub(crate) fn service(&self, service: Service) -> anyhow::Result<Client> {
        match service {
            Service::Order => self.order(),
            Service::Inventory => self.inventory(),
            Service::Email => match self.email()? {
                Some(client) => Ok(client),
                None => Client::new("email", "EMAIL_URL", EMAIL_DEFAULT, self.bearer()?),
            },
        }
    }

    /// All services, as [`Settings::service`].
    ///
    /// # Errors
    /// As [`Settings::order`].
    pub(crate) fn services(&self) -> anyhow::Result<Services> {
        Service::ALL.into_iter().map(|service| Ok((service, self.service(service)?))).collect()
    }

    /// All services, each given up after a few seconds: for questions that are put to all of them at once.
    ///
    /// # Errors
    /// As [`Settings::order`].
    pub(crate) fn services_in_a_hurry(&self) -> anyhow::Result<Services> {
        Ok(self.services()?.into_iter().map(|(service, client)| (service, client.briefly())).collect())
    }

    /// All services, to be called with somebody else's token: nothing of ours is sent.
    ///
    /// # Errors
    /// As [`Settings::order`].
    pub(crate) fn services_for_others(&self) -> anyhow::Result<Services> {
        let without = |(service, client): (Service, Client)| Ok((service, client.called_with(None)?));
        self.services()?.into_iter().map(without).collect()
    }

    /// The broker, if we were told where it is.
    ///
    /// # Errors
    /// [`Usage`] when it is no address.
    pub(crate) fn broker_if_any(&self) -> Result<Option<AmqpUrls>, Usage> {
        match variable("AMQP_URL", self.amqp_url.as_deref())? {
            None => Ok(None),
            Some(_) => self.broker().map(Some),
        }
    }

    /// The broker.
    ///
    /// # Errors
    /// [`Usage`] when it is not given or no address.
    pub(crate) fn broker(&self) -> Result<AmqpUrls, Usage> {
        let url = variable("AMQP_URL", self.amqp_url.as_deref())?
            .ok_or_else(|| Usage("no broker: set AMQP_URL (`. .dev/env` does) or give --amqp-url".to_owned()))?;
        url.parse().map_err(|why| Usage(format!("AMQP_URL: {why}")))
    }

    /// The broker's management interface, if we were told where it is.
    ///
    /// # Errors
    /// [`Usage`] when its file cannot be read.
    pub(crate) fn management_url(&self) -> Result<Option<String>, Usage> {
        variable("RABBITMQ_MANAGEMENT_URL", self.rabbitmq_management_url.as_deref())
    }

    /// What tokens are made with.
    ///
    /// # Errors
    /// [`Usage`] when there is no secret.
    pub(crate) fn signer(&self) -> Result<token::Signer, Usage> {
        let secret = variable("AUTH_HS256_SECRET", self.auth_hs256_secret.as_deref())?.ok_or_else(|| {
            Usage(
                "no secret to make a token with: set AUTH_HS256_SECRET (`. .dev/env` does) or give --auth-hs256-secret"
                    .to_owned(),
            )
        })?;
        Ok(token::Signer {
            secret,
            issuer: variable("AUTH_ISSUER", self.auth_issuer.as_deref())?,
            audience: variable("AUTH_AUDIENCE", self.auth_audience.as_deref())?,
        })
    }

    /// The token to call with: the given one, or one of our own; none where there is neither, since services may run
    /// without authentication.
    pub(crate) fn bearer(&self) -> anyhow::Result<Option<String>> {
        if let Some(token) = variable("WARREN_TOKEN", self.warren_token.as_deref())? {
            return Ok(Some(token.trim().to_owned()));
        }
        if variable("AUTH_HS256_SECRET", self.auth_hs256_secret.as_deref())?.is_none() {
            return Ok(None);
        }
        let signer = self.signer()?;
        let claims = Claims::new(&[], None, OWN_TOKEN_TTL, &signer)?;
        signer.sign(&claims).map(Some)
    }
}

/// A setting: the option if given, else the variable, else the content of the file that `NAME_FILE` names.
///
/// # Errors
/// [`Usage`] when variable and file are both set, or the value cannot be read.
pub(crate) fn variable(name: &str, option: Option<&str>) -> Result<Option<String>, Usage> {
    resolve(name, option, |name| std::env::var_os(name))
}

fn resolve(name: &str, option: Option<&str>, env: impl Fn(&str) -> Option<OsString>) -> Result<Option<String>, Usage> {
    if let Some(option) = option {
        return Ok(Some(option.to_owned()).filter(|option| !option.is_empty()));
    }
    let file_name = format!("{name}_FILE");
    let set = |name: &str| env(name).filter(|value| !value.is_empty());
    match (set(name), set(&file_name)) {
        (None, None) => Ok(None),
        (Some(value), None) => value.into_string().map(Some).map_err(|_| Usage(format!("{name} is not valid UTF-8"))),
        (None, Some(path)) => read(&file_name, Path::new(&path)).map(Some),
        (Some(_), Some(_)) => Err(Usage(format!("{name} and {file_name} are both set: set one of them"))),
    }
}

/// A file's text without the newline that editors and `echo` leave at its end.
fn read(name: &str, path: &Path) -> Result<String, Usage> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Usage(format!("{name}: cannot read {}: {error}", path.display())))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(Usage(format!("{name}: {} is empty", path.display())));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<OsString> + 'a {
        |name| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
    }

    #[test]
    fn an_option_goes_before_the_variable_and_empty_is_unset() {
        let env = with(&[("X", "env"), ("Y", "")]);
        assert_eq!(resolve("X", Some("option"), &env).unwrap().as_deref(), Some("option"));
        assert_eq!(resolve("X", None, &env).unwrap().as_deref(), Some("env"));
        assert_eq!(resolve("Y", None, &env).unwrap(), None);
        assert_eq!(resolve("Z", None, &env).unwrap(), None);
    }

    #[test]
    fn a_file_gives_the_value_without_its_last_newline() {
        let path = std::env::temp_dir().join(format!("warren-settings-{}", std::process::id()));
        std::fs::write(&path, "secret\n\n").unwrap();
        let name = path.to_str().unwrap();
        assert_eq!(resolve("X", None, with(&[("X_FILE", name)])).unwrap().as_deref(), Some("secret\n"));
        let both = resolve("X", None, with(&[("X", "a"), ("X_FILE", name)])).unwrap_err();
        assert!(both.to_string().contains("both set"), "{both}");
        std::fs::write(&path, "\n").unwrap();
        assert!(resolve("X", None, with(&[("X_FILE", name)])).unwrap_err().to_string().contains("is empty"));
        std::fs::remove_file(&path).unwrap();
        assert!(resolve("X", None, with(&[("X_FILE", name)])).unwrap_err().to_string().contains("cannot read"));
    }
}
