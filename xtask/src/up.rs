//! `cargo xtask up`: the whole system for a person, in the foreground or behind.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::infra::Choice;
use crate::infra::private::{Life, Private};
use crate::interrupt::{self, Interrupted};
use crate::logs::Follower;
use crate::run::{self, Run};
use crate::services::{self, Program, Service};
use crate::state::State;
use crate::system::{Options, System};
use crate::{demo, files, process, workspace};

const POLL: Duration = Duration::from_millis(100);

/// Options of `up`.
#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// Where RabbitMQ and PostgreSQL come from
    #[arg(long, value_enum, default_value_t = Choice::Auto)]
    infra: Choice,
    /// Build for speed
    #[arg(long)]
    release: bool,
    /// Delete the data of earlier times first
    #[arg(long)]
    fresh: bool,
    /// Return when everything is ready, and leave it running
    #[arg(long)]
    detach: bool,
    /// What `--detach` leaves running: no logs on its output.
    #[arg(long, hide = true)]
    background: bool,
}

/// Brings the system up and keeps it up until a signal comes.
///
/// # Errors
/// When it runs already, or something does not start.
pub(crate) fn up(args: &UpArgs) -> Result<()> {
    interrupt::listen()?;
    if args.detach {
        return detach();
    }
    let run = Run::of_the_system()?;
    let dir = run.dir();
    if args.fresh {
        delete_data(dir)?;
    }
    let options = Options { infra: args.infra, release: args.release, life: Life::Keep, console: true };
    let mut system = System::start(&run, &options)?;
    welcome(&system, dir)?;
    system.supervisor.set_ready()?;

    let mut follower = Follower::new(dir, if args.background { &[] } else { &Program::ALL[..] });
    while interrupt::pause(POLL).is_ok() {
        system.supervisor.tick()?;
        follower.print_new()?;
    }
    Ok(())
}

fn delete_data(dir: &Path) -> Result<()> {
    process::say("deleting the data");
    if let Some(servers) = Private::load(dir)? {
        servers.delete();
    }
    for name in ["logs", "mail", "env", "secrets.json"] {
        files::remove(&dir.join(name))?;
    }
    Ok(())
}

/// Loads the catalogue and says what there is.
fn welcome(system: &System, dir: &Path) -> Result<()> {
    if system.token.is_some() || std::env::var_os("AUTH_DISABLED").is_some() {
        demo::load(&system.addresses.to_call(Service::Inventory), system.token.as_deref())
            .context("cannot load the demo catalogue")?;
    } else {
        process::say("no demo catalogue: set WARREN_TOKEN to a token that your keys verify");
    }
    println!("\nWarren is up ({}).\n", system.infra.name());
    for service in Service::ALL {
        let moved = system.addresses.moved.contains(&service);
        let note = if moved { "  (its usual port is taken)" } else { "" };
        println!("  {:10} http://{}/docs{note}", service.name(), system.addresses.to_call(service));
    }
    if let Some(address) = &system.console {
        println!("  {:10} http://{}  (sign in with the token below)", "console", services::to_call(address));
    }
    println!("  {:10} {}", "broker", system.infra.management_url().unwrap_or_else(|| system.infra.amqp_url()));
    println!("  {:10} {}", "databases", system.infra.database_url("{order,inventory,email}"));
    println!("  {:10} {}", "mails", dir.join("mail").display());
    println!("  {:10} {}\n", "variables", dir.join("env").display());
    println!("A token for everything, for 30 days:\n\n{}\n", system.token.as_deref().unwrap_or("(yours)"));
    println!("A first order, in another terminal:\n\n{}", first_order(dir));
    println!("The command line: {}\n", system.bin_dir.join("warren").display());
    Ok(())
}

/// Commands for a POSIX shell with curl.
fn first_order(dir: &Path) -> String {
    let env = crate::shell::quote(&dir.join("env").display().to_string());
    let sku = demo::FIRST_SKU;
    format!(
        r#"  . {env}
  post() {{ curl -sS -X POST -H "Authorization: Bearer $WARREN_TOKEN" -H 'Content-Type: application/json' "$@"; }}
  customer=$(post "$ORDER_URL/v1/customers" -d "{{\"name\": \"Ada\", \"email\": \"ada-$(date +%s)@example.com\"}}" \
    | sed 's/.*"id": *"\([^"]*\)".*/\1/')
  post "$ORDER_URL/v1/orders" -d "{{\"customer_id\": \"$customer\", \"payment_method\": \"sandbox:ok\",
    \"lines\": [{{\"sku\": \"{sku}\", \"quantity\": 2}}]}}"
"#
    )
}

/// Starts this program again in a session of its own, tells what it tells until the system is ready, and leaves it.
fn detach() -> Result<()> {
    let dir = workspace::dev_dir();
    if run::owner(&dir).is_some() {
        // For its error, in one place.
        return Run::of_the_system().map(drop);
    }
    let log = dir.join("supervisor.log");
    files::make_dir(&dir)?;
    files::remove(&log)?;
    let output = files::open_log(&log)?;
    let mut command = Command::new("setsid");
    command.arg(std::env::current_exe()?).arg("up").arg("--background");
    command.args(std::env::args().skip_while(|arg| arg != "up").skip(1).filter(|arg| arg != "--detach"));
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    let mut child = command.spawn().context("cannot start setsid")?;

    let mut said = File::open(&log)?;
    loop {
        let ended = child.try_wait()?;
        let ready = State::of_running(&dir).is_some_and(|state| state.supervisor == child.id() && state.ready);
        relay(&mut said)?;
        if let Some(status) = ended {
            bail!("the system did not come up ({status})");
        }
        if ready {
            println!("It stays up: `cargo xtask status`, `logs -f`, `restart SERVICE` and `down` are for it.");
            return Ok(());
        }
        if interrupt::pause(POLL).is_err() {
            return give_up(child);
        }
    }
}

fn give_up(mut child: Child) -> Result<()> {
    process::end(&[child.id()], Duration::from_secs(120));
    child.wait()?;
    Err(Interrupted.into())
}

/// Prints what has been added to a file.
fn relay(file: &mut File) -> io::Result<()> {
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    print!("{text}");
    io::Write::flush(&mut io::stdout())
}

/// Stops the system, whoever runs it, and what is left of one that was killed.
///
/// # Errors
/// When it does not stop.
pub(crate) fn down(with_data: bool) -> Result<()> {
    let dir = workspace::dev_dir();
    if let Some(supervisor) = run::owner(&dir) {
        process::say("stopping the system");
        process::signal(supervisor, rustix::process::Signal::TERM);
        process::wait_until("the end of the system", Duration::from_secs(180), || Ok(run::owner(&dir).is_none()))?;
    }
    // To own a run is to have ended what was left of it.
    if fs::exists(&dir)? {
        let run = Run::of_the_system()?;
        if with_data {
            delete_data(run.dir())?;
        }
        run::sweep(run.dir())?;
    }
    process::say("nothing runs");
    Ok(())
}
