use std::collections::HashMap;
use std::ffi::OsString;

use clap::Parser;

use super::*;

/// A service to be configured
#[derive(Debug, Parser)]
#[command(name = "service", version)]
struct Config {
    /// Address to listen on
    #[arg(long, env = "HTTP_ADDR", default_value = "127.0.0.1:8080")]
    http_addr: std::net::SocketAddr,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    auth: AuthArgs,
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    shutdown: ShutdownArgs,
    /// Says more
    #[arg(long, env = "VERBOSE")]
    verbose: bool,
    #[command(subcommand)]
    command: Option<Sub>,
}

#[derive(Debug, clap::Subcommand)]
enum Sub {
    /// Does a part
    Part {
        /// How much
        #[arg(long, env = "AMOUNT")]
        amount: u8,
    },
}

const URL: &str = "postgres://u:hunter2@h/d";

fn read(args: &[&str], env: &[(&str, &str)]) -> Result<Config, Stop> {
    let env: HashMap<String, OsString> = env.iter().map(|(k, v)| ((*k).to_owned(), v.into())).collect();
    let args = std::iter::once("service").chain(args.iter().copied()).map(OsString::from);
    try_parse_from(args, |name| env.get(name).cloned())
}

fn wrong(args: &[&str], env: &[(&str, &str)]) -> String {
    match read(args, env) {
        Err(Stop::Wrong(line)) => line,
        other => panic!("expected one line, got {other:?}"),
    }
}

fn file(name: &str, text: &str) -> String {
    let path = std::env::temp_dir().join(format!("service-kit-config-{}-{name}", std::process::id()));
    std::fs::write(&path, text).expect("temporary file");
    path.to_str().expect("UTF-8 path").to_owned()
}

#[test]
fn variables_defaults_and_arguments_in_order_of_precedence() {
    let env = [("DATABASE_URL", URL), ("HTTP_ADDR", "0.0.0.0:1"), ("SHUTDOWN_TIMEOUT", "90s")];
    let config = read(&[], &env).expect("valid");
    assert_eq!(config.database.database_url.expose(), URL);
    assert_eq!(config.database.database_max_connections, 12);
    assert_eq!(config.http_addr.to_string(), "0.0.0.0:1");
    assert_eq!(config.shutdown.shutdown_timeout, Duration::from_secs(90));
    for args in [&["--http-addr", "0.0.0.0:2"][..], &["--http-addr=0.0.0.0:2"]] {
        assert_eq!(read(args, &env).expect("valid").http_addr.port(), 2);
    }
}

#[test]
fn an_empty_variable_is_unset() {
    let config = read(&[], &[("DATABASE_URL", URL), ("HTTP_ADDR", ""), ("AUTH_ISSUER", ""), ("AUTH_DISABLED", "")])
        .expect("valid");
    assert_eq!(config.http_addr.port(), 8080);
    assert_eq!(config.auth.auth_issuer, None);
    assert!(wrong(&[], &[("DATABASE_URL", "")]).starts_with("DATABASE_URL is not set"));
}

#[test]
fn flags_are_true_or_false() {
    let disabled = |value| read(&[], &[("DATABASE_URL", URL), ("AUTH_DISABLED", value), ("VERBOSE", value)]);
    let on = disabled("true").expect("valid");
    assert!(on.auth.auth_disabled && on.verbose);
    let off = disabled("false").expect("valid");
    assert!(!off.auth.auth_disabled && !off.verbose);
    assert!(
        wrong(&[], &[("DATABASE_URL", URL), ("AUTH_DISABLED", "perhaps")]).starts_with("AUTH_DISABLED is \"perhaps\"")
    );
    assert_eq!(wrong(&[], &[("DATABASE_URL", URL), ("VERBOSE", "1")]), "VERBOSE is neither true nor false");
}

#[test]
fn a_variable_can_be_a_file() {
    let path = file("url", &format!("{URL}\r\n"));
    let config = read(&[], &[("DATABASE_URL_FILE", &path)]).expect("valid");
    assert_eq!(config.database.database_url.expose(), URL);
    let both = wrong(&[], &[("DATABASE_URL", URL), ("DATABASE_URL_FILE", &path)]);
    assert_eq!(both, "DATABASE_URL and DATABASE_URL_FILE are both set: set one of them");
    let absent = wrong(&[], &[("DATABASE_URL_FILE", "/nowhere/url")]);
    assert!(absent.starts_with("DATABASE_URL_FILE: cannot read /nowhere/url: "), "{absent}");
    let empty = wrong(&[], &[("DATABASE_URL_FILE", &file("empty", "\n"))]);
    assert!(empty.ends_with("is empty"), "{empty}");
}

#[test]
fn what_is_wrong_is_one_line_that_names_the_variable() {
    assert_eq!(
        wrong(&[], &[]),
        "DATABASE_URL is not set (or DATABASE_URL_FILE): The service's own PostgreSQL database: postgres://USER:PASSWORD@HOST:PORT/DATABASE"
    );
    for (name, value, says) in [
        ("HTTP_ADDR", "nonsense", "HTTP_ADDR is \"nonsense\": invalid socket address syntax"),
        ("DATABASE_MAX_CONNECTIONS", "0", "DATABASE_MAX_CONNECTIONS is \"0\": 0 is not in 1..=1000"),
        ("SHUTDOWN_TIMEOUT", "30", "SHUTDOWN_TIMEOUT is \"30\": expected a duration with its unit"),
        ("LOG_FORMAT", "xml", "LOG_FORMAT is \"xml\": expected one of pretty, json"),
    ] {
        let line = wrong(&[], &[("DATABASE_URL", URL), (name, value)]);
        assert!(line.starts_with(says), "{line}");
        assert_eq!(line.lines().count(), 1);
    }
    let unknown = wrong(&["--nonsense"], &[("DATABASE_URL", URL)]);
    assert!(unknown.contains("--nonsense"), "{unknown}");
}

#[test]
fn a_subcommand_has_variables_of_its_own() {
    let env = [("DATABASE_URL", URL), ("AMOUNT", "7"), ("HTTP_ADDR", "[::1]:3")];
    let config = read(&["--auth-issuer", "part", "part"], &env).expect("valid");
    assert!(matches!(config.command, Some(Sub::Part { amount: 7 })));
    assert_eq!(config.auth.auth_issuer.as_deref(), Some("part"));
    assert_eq!(config.http_addr.port(), 3);
    assert!(wrong(&["part"], &env[..1]).starts_with("AMOUNT is not set"));
}

#[test]
fn help_lists_every_variable_and_no_value() {
    let Err(Stop::Help(help)) = read(&["--help"], &[("DATABASE_URL", URL)]) else { panic!("expected help") };
    for name in [
        "HTTP_ADDR",
        "DATABASE_URL",
        "DATABASE_MAX_CONNECTIONS",
        "AUTH_JWKS_FILE",
        "AUTH_HS256_SECRET",
        "AUTH_DISABLED",
        "AUTH_ISSUER",
        "AUTH_AUDIENCE",
        "LOG_FORMAT",
        "SHUTDOWN_TIMEOUT",
    ] {
        assert!(help.contains(&format!("[env: {name}]")), "{name} is missing in {help}");
    }
    assert!(help.starts_with("A service to be configured\n"), "{help}");
    assert!(help.contains("[default: 127.0.0.1:8080]"));
    assert!(!help.contains("hunter2"));
}

#[test]
fn secrets_are_not_shown() {
    let config = read(&[], &[("DATABASE_URL", URL)]).expect("valid");
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn exactly_one_way_to_verify_callers() {
    let auth = |env: &[(&str, &str)]| {
        let env: Vec<_> = env.iter().copied().chain([("DATABASE_URL", URL)]).collect();
        read(&[], &env).expect("valid").auth.authenticator().map(|_| ())
    };
    let long = "0123456789abcdef0123456789abcdef";
    assert!(auth(&[]).expect_err("none").contains("AUTH_HS256_SECRET"));
    assert!(
        auth(&[("AUTH_HS256_SECRET", long), ("AUTH_DISABLED", "true")])
            .expect_err("two")
            .contains("exclude each other")
    );
    assert!(auth(&[("AUTH_HS256_SECRET", long), ("AUTH_DISABLED", "false")]).is_ok());
    assert!(auth(&[("AUTH_DISABLED", "true")]).is_ok());
    assert!(
        auth(&[("AUTH_JWKS_FILE", "/nowhere")])
            .expect_err("no file")
            .starts_with("AUTH_JWKS_FILE: cannot read /nowhere")
    );
    assert!(auth(&[("AUTH_JWKS_FILE", &file("jwks", "{}"))]).expect_err("no keys").contains("AUTH_JWKS_FILE"));
}
