//! What the tests are told of their surroundings.

use std::path::PathBuf;
use std::sync::OnceLock;

/// The servers and programs that a test uses.
#[derive(Debug)]
pub struct Environment {
    /// A superuser's URL on a PostgreSQL on which databases may be made: `DATABASE_URL`.
    pub database_url: String,
    /// An administrator's URL of a RabbitMQ: `AMQP_URL`.
    pub amqp_url: String,
    /// Its management interface, with name and password: `RABBITMQ_MANAGEMENT_URL`.
    pub management_url: String,
    /// Where the binaries are: `WARREN_BIN_DIR`, else `target/debug` of this checkout.
    pub bin_dir: PathBuf,
}

/// The surroundings of this process.
///
/// # Panics
/// When a variable is missing.
pub fn environment() -> &'static Environment {
    static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| Environment {
        database_url: required("DATABASE_URL"),
        amqp_url: required("AMQP_URL"),
        management_url: required("RABBITMQ_MANAGEMENT_URL").trim_end_matches('/').to_owned(),
        bin_dir: variable("WARREN_BIN_DIR").map_or_else(built_here, PathBuf::from),
    })
}

/// The value of a variable that must be there.
///
/// # Panics
/// When it is not.
pub fn required(name: &str) -> String {
    variable(name).unwrap_or_else(|| panic!("end-to-end tests need {name}: run them with `cargo xtask test`"))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn built_here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/debug")
}
