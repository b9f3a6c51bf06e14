//! `SMTP_URL`: where mails go.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use url::Url;

/// What the operator is told when the URL is none of these.
const EXPECTED: &str = "expected smtp://HOST, smtps://HOST, smtp+starttls://HOST (each also with USER:PASSWORD@ and :PORT), or file:///DIR";

/// Where mails go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// To a mail server.
    Server(Server),
    /// One file for each into this directory.
    Directory(PathBuf),
}

/// A mail server.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    /// Its name or address; its certificate must be for it.
    pub host: String,
    /// Its port: 25, 465 for `smtps`, 587 for `smtp+starttls` when unset.
    pub port: u16,
    /// How the connection is protected.
    pub security: Security,
    /// User and password to log in with. Over `smtp://` they travel in the clear.
    pub login: Option<(String, String)>,
}

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Not at all: for a server on the same machine or network.
    None,
    /// TLS from the first byte (RFC 8314).
    Tls,
    /// TLS after `STARTTLS` (RFC 3207), which is required: a server without it gets no mail.
    StartTls,
}

impl fmt::Debug for Server {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("security", &self.security)
            .field("login", &self.login.is_some())
            .finish()
    }
}

impl FromStr for Target {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).map_err(|_| EXPECTED)?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(EXPECTED);
        }
        let (security, port) = match url.scheme() {
            "file" if url.has_host() => return Err("a file URL has three slashes: file:///DIR"),
            "file" => return url.to_file_path().map(Target::Directory).map_err(|()| EXPECTED),
            "smtp" => (Security::None, 25),
            "smtps" => (Security::Tls, 465),
            "smtp+starttls" => (Security::StartTls, 587),
            _ => return Err(EXPECTED),
        };
        if !matches!(url.path(), "" | "/") {
            return Err(EXPECTED);
        }
        // An IPv6 address stands in brackets in a URL, and nowhere else.
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(EXPECTED)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Target::Server(Server { host, port: url.port().unwrap_or(port), security, login: login(&url)? }))
    }
}

fn login(url: &Url) -> Result<Option<(String, String)>, &'static str> {
    let decoded = |text| {
        let text = percent_decode_str(text).decode_utf8().map(Cow::into_owned);
        text.map_err(|_| "user and password have to be UTF-8")
    };
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        ("", Some(_)) => Err("there is a password without a user"),
        (_, None) => Err("there is a user without a password"),
        (user, Some(password)) => Ok(Some((decoded(user)?, decoded(password)?))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(text: &str) -> Server {
        match text.parse() {
            Ok(Target::Server(server)) => server,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn servers() {
        let plain = server("smtp://localhost");
        assert_eq!((plain.host.as_str(), plain.port, plain.security), ("localhost", 25, Security::None));
        assert_eq!(plain.login, None);
        assert_eq!(server("smtp://[::1]:2525/").host, "::1");
        let tls = server("smtps://shop%40example.com:p%3Aw%2F@mail.example.com");
        assert_eq!((tls.port, tls.security), (465, Security::Tls));
        assert_eq!(tls.login, Some(("shop@example.com".to_owned(), "p:w/".to_owned())));
        assert!(!format!("{tls:?}").contains("p:w"));
        let starttls = server("smtp+starttls://mail.example.com:2587");
        assert_eq!((starttls.port, starttls.security), (2587, Security::StartTls));
    }

    #[test]
    fn directories() {
        assert_eq!("file:///tmp/a%20b".parse(), Ok(Target::Directory("/tmp/a b".into())));
    }

    #[test]
    fn nonsense() {
        for bad in [
            "",
            "localhost:25",
            "smtp://",
            "http://mail.example.com",
            "smtp://mail.example.com/path",
            "smtp://mail.example.com?tls=required",
            "smtp://user@mail.example.com",
            "smtp://:password@mail.example.com",
            "smtp://u:%ff@mail.example.com",
            "file://mail",
            "smtp://mail.example.com:99999",
        ] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }
}
