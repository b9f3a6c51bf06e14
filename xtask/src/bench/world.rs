//! The system that a measurement has for itself: servers with empty databases, and services that it starts and stops.

use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::sizes::Sizes;
use super::usage::{self, Usage};
use crate::infra::private::Life;
use crate::run::Run;
use crate::services::{Service, Settings};
use crate::system::Ground;
use crate::{interrupt, net, process, supervisor};

/// How long services may take to drain and end.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// Where mails land, if it is there: memory. The mail server is not what is measured, and a disk's file system takes its time
/// where many files have just been deleted, such as the mails of the measurement before.
const MEMORY: &str = "/dev/shm";

const READY_LIMIT: Duration = Duration::from_secs(60);

/// How often a service that starts is asked whether it is ready.
const READY_POLL: Duration = Duration::from_millis(1);

/// A running system. Dropping it leaves nothing.
pub(super) struct World {
    running: Vec<Running>,
    /// The servers.
    pub(super) ground: Ground,
    /// A bearer token for everything.
    pub(super) token: Option<String>,
    /// Variables of all services beside the usual ones.
    more: Settings,
    // the last, since it ends whatever is left
    run: Run,
}

/// A copy of a service.
struct Running {
    service: Service,
    address: String,
    child: Child,
}

impl Running {
    /// Waits until it says that it is ready. `dir` is where its log is.
    fn await_ready(&mut self, dir: &Path) -> Result<()> {
        let (start, name) = (Instant::now(), self.service.name());
        while !net::http("GET", &self.address, "/readyz", None, None).is_ok_and(|answer| answer.status == 200) {
            if let Some(status) = self.child.try_wait()? {
                let words = std::fs::read_to_string(supervisor::log(dir, self.service.into())).unwrap_or_default();
                bail!("{name} ended at its start ({status}):\n{}", process::last_lines(&words, 5));
            }
            if start.elapsed() > READY_LIMIT {
                bail!("{name} is not ready after {} s", READY_LIMIT.as_secs());
            }
            interrupt::pause(READY_POLL)?;
        }
        Ok(())
    }
}

impl World {
    /// Servers, migrated databases, and one copy of each service, ready.
    ///
    /// # Errors
    /// When something does not start.
    pub(super) fn new(sizes: &Sizes, more: Settings) -> Result<World> {
        let run = Run::temporary()?;
        let mut ground = Ground::lay(&run, sizes.infra, Life::Throwaway, || Ok(sizes.bin_dir.clone()))?;
        if Path::new(MEMORY).is_dir() {
            ground.mail_dir = Path::new(MEMORY).join(format!("warren-bench-{}", std::process::id()));
            crate::files::make_dir(&ground.mail_dir)?;
        }
        let token = ground.token()?;
        crate::files::make_dir(&run.dir().join("logs"))?;
        let mut world = World { running: Vec::new(), ground, token, more, run };
        world.start(&Service::ALL)?;
        Ok(world)
    }

    /// The folder of its run.
    pub(super) fn dir(&self) -> &Path {
        self.run.dir()
    }

    /// Starts services at their usual addresses, and waits until they are ready.
    ///
    /// # Errors
    /// When one does not start.
    pub(super) fn start(&mut self, services: &[Service]) -> Result<()> {
        for service in services {
            self.spawn(*service, self.ground.addresses.of[service].clone())?;
        }
        self.await_ready()
    }

    /// Starts a second copy of each service.
    ///
    /// # Errors
    /// When one does not start.
    pub(super) fn double(&mut self) -> Result<()> {
        for service in Service::ALL {
            self.spawn(service, format!("127.0.0.1:{}", net::free_port()?))?;
        }
        self.await_ready()
    }

    /// Starts a service, and tells how long it took to be ready.
    ///
    /// # Errors
    /// When it does not start.
    pub(super) fn time_start(&mut self, service: Service) -> Result<Duration> {
        let start = Instant::now();
        self.spawn(service, self.ground.addresses.of[&service].clone())?;
        if let Some(started) = self.running.last_mut() {
            started.await_ready(self.run.dir())?;
        }
        Ok(start.elapsed())
    }

    fn spawn(&mut self, service: Service, address: String) -> Result<()> {
        let settings = [self.ground.settings(service, &address), self.more.clone()].concat();
        let child = supervisor::spawn(self.run.dir(), &self.ground.bin_dir, service.into(), &settings)?;
        self.running.push(Running { service, address, child });
        Ok(())
    }

    fn await_ready(&mut self) -> Result<()> {
        self.running.iter_mut().try_for_each(|running| running.await_ready(self.run.dir()))
    }

    /// Stops all copies of these services, in order.
    pub(super) fn stop(&mut self, services: &[Service]) {
        let (stopping, running) = std::mem::take(&mut self.running)
            .into_iter()
            .partition::<Vec<_>, _>(|running| services.contains(&running.service));
        self.running = running;
        let mut children: Vec<Child> = stopping.into_iter().map(|running| running.child).collect();
        process::end(&children.iter().map(Child::id).collect::<Vec<_>>(), STOP_LIMIT);
        for child in &mut children {
            // It has ended; this only takes note of it.
            let _ = child.wait();
        }
    }

    /// The addresses of all running copies of a service.
    pub(super) fn addresses(&self, service: Service) -> impl Iterator<Item = &str> {
        self.running.iter().filter(move |running| running.service == service).map(|running| running.address.as_str())
    }

    /// The most memory that the copies of a service have had, in megabytes.
    pub(super) fn peak_of(&self, service: Service) -> f64 {
        let pids = self.running.iter().filter(|running| running.service == service).map(|running| running.child.id());
        pids.filter_map(usage::peak_megabytes).sum()
    }

    /// From here on peaks of memory are counted anew.
    pub(super) fn forget_peaks(&self) {
        self.running.iter().for_each(|running| usage::forget_peak(running.child.id()));
    }

    /// What has been used of the processor.
    pub(super) fn usage(&self) -> Usage {
        Usage::of_run(self.dir())
    }

    /// Runs SQL in the database of a service and returns the one number that it selects.
    ///
    /// # Errors
    /// When the statement fails or selects something else.
    pub(super) fn number(&self, service: Service, sql: &str) -> Result<u64> {
        let answer = self.ground.infra.sql(service.name(), sql)?;
        answer.trim().parse().with_context(|| format!("{sql} selects {answer}"))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        process::say("stopping the services");
        self.stop(&Service::ALL);
        if self.ground.mail_dir.starts_with(MEMORY) {
            // What stays is gone with the next start of the machine.
            let _ = std::fs::remove_dir_all(&self.ground.mail_dir);
        }
    }
}
