//! The life of a process: its tasks, the order to stop, and the exit code.
//!
//! A task of a service runs until it is asked to stop. One that ends by itself, or panics, leaves a process that looks alive and
//! does not do its work, so it ends the process: whoever supervises it starts a whole one.

use std::fmt::Display;
use std::future::Future;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// The part of the shutdown timeout that is for finishing what is under way; the rest is for ending.
const DRAIN_SHARE: f64 = 0.9;

/// Runs the `main` of a process on a runtime of its own.
///
/// The runtime is not taken apart afterwards: the process ends at once. Tasks of libraries that wait for each other panic when
/// they are cancelled, and would say so after the last line.
pub fn run(main: impl Future<Output = ExitCode>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("a process can start its threads");
    let code = runtime.block_on(main);
    std::mem::forget(runtime);
    code
}

/// The tasks of a process; clones share them.
#[derive(Clone, Debug)]
pub struct Lifecycle(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    stop: CancellationToken,
    tasks: TaskTracker,
    running: Mutex<Vec<&'static str>>,
    failed: CancellationToken,
    shutdown_timeout: Duration,
}

impl Lifecycle {
    /// Listens for SIGTERM and SIGINT from here on: the first asks the process to stop, a SIGINT after it ends it at once.
    /// Needs a tokio runtime.
    ///
    /// `shutdown_timeout` is how long the tasks may take to stop.
    pub fn new(shutdown_timeout: Duration) -> Self {
        let lifecycle = Lifecycle(Arc::new(Inner {
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            running: Mutex::default(),
            failed: CancellationToken::new(),
            shutdown_timeout,
        }));
        let listen = |kind| signal(kind).expect("SIGTERM and SIGINT can always be listened for");
        tokio::spawn(obey(lifecycle.0.stop.clone(), listen(SignalKind::terminate()), listen(SignalKind::interrupt())));
        lifecycle
    }

    /// Cancelled when the process is to stop.
    pub fn token(&self) -> CancellationToken {
        self.0.stop.clone()
    }

    /// How long a task may finish what is under way: somewhat less than the shutdown timeout, so that it can still cut the rest and end by itself.
    pub fn drain(&self) -> Duration {
        self.0.shutdown_timeout.mul_f64(DRAIN_SHARE)
    }

    /// Asks the process to stop, as SIGTERM does.
    pub fn stop(&self) {
        self.0.stop.cancel();
    }

    /// Runs a task that ends when the token is cancelled. If it ends before, or with an error, or panics, the process
    /// stops with one error line, and [`wait`](Self::wait) gives the exit code 1.
    pub fn spawn<O: Outcome>(&self, name: &'static str, task: impl Future<Output = O> + Send + 'static) {
        let inner = Arc::clone(&self.0);
        self.running().push(name);
        let lifecycle = self.clone();
        self.0.tasks.spawn(async move {
            let ended = tokio::spawn(task.in_current_span()).await;
            lifecycle.forget(name);
            if let Some(why) = why_wrong(ended, inner.stop.is_cancelled()) {
                tracing::error!(task = name, "{why}: the process ends");
                inner.failed.cancel();
                inner.stop.cancel();
            }
        });
    }

    /// Waits for the order to stop, and then for the tasks, at most the shutdown timeout; logs those that did not stop.
    ///
    /// The exit code is 0 when all went as asked, else 1.
    pub async fn wait(self) -> ExitCode {
        let Inner { stop, tasks, failed, shutdown_timeout, .. } = &*self.0;
        stop.cancelled().await;
        tracing::info!("stopping");
        tasks.close();
        if tokio::time::timeout(*shutdown_timeout, tasks.wait()).await.is_err() {
            tracing::error!(tasks = self.running().join(", "), "did not stop in time");
            return ExitCode::FAILURE;
        }
        if failed.is_cancelled() {
            return ExitCode::FAILURE;
        }
        tracing::info!("stopped");
        ExitCode::SUCCESS
    }

    fn forget(&self, name: &str) {
        let mut running = self.running();
        if let Some(index) = running.iter().position(|running| *running == name) {
            running.swap_remove(index);
        }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Vec<&'static str>> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a task may end with: nothing, or a `Result` whose error is logged.
pub trait Outcome: Send + 'static {
    /// The error's text, if it is one.
    fn into_error(self) -> Option<String>;
}

impl Outcome for () {
    fn into_error(self) -> Option<String> {
        None
    }
}

impl<T: Send + 'static, E: Display + Send + 'static> Outcome for Result<T, E> {
    fn into_error(self) -> Option<String> {
        // The alternate form shows an anyhow error with its causes.
        self.err().map(|error| format!("{error:#}"))
    }
}

fn why_wrong<O: Outcome>(ended: Result<O, JoinError>, asked: bool) -> Option<String> {
    match ended.map(Outcome::into_error) {
        // The panic hook has said where.
        Err(_) => Some("panicked".to_owned()),
        Ok(Some(error)) => Some(format!("failed: {error}")),
        Ok(None) if asked => None,
        Ok(None) => Some("ended although nobody asked it to".to_owned()),
    }
}

/// Passes the first signal on. A later SIGINT is a person who does not want to wait; a later SIGTERM is often only the
/// supervisor's share of a Ctrl-C that the terminal has already sent to everybody.
async fn obey(stop: CancellationToken, mut terminate: Signal, mut interrupt: Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    stop.cancel();
    interrupt.recv().await;
    tracing::warn!("interrupted while stopping: ending at once");
    std::process::exit(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn tasks_that_stop_when_asked_are_a_clean_end() {
        let lifecycle = Lifecycle::new(TIMEOUT);
        let token = lifecycle.token();
        lifecycle.spawn("waits", async move { token.cancelled().await });
        let token = lifecycle.token();
        lifecycle.spawn("finishes", async move {
            token.cancelled().await;
            tokio::time::sleep(TIMEOUT / 2).await;
            Ok::<_, std::io::Error>(())
        });
        lifecycle.stop();
        assert_eq!(lifecycle.wait().await, ExitCode::SUCCESS);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_stop_is_left_behind() {
        let lifecycle = Lifecycle::new(TIMEOUT);
        lifecycle.spawn("stuck", std::future::pending::<()>());
        lifecycle.stop();
        assert_eq!(lifecycle.wait().await, ExitCode::FAILURE);
    }

    #[tokio::test]
    async fn a_task_that_ends_unasked_ends_the_process() {
        async fn code(task: impl Future<Output = Result<(), String>> + Send + 'static) -> ExitCode {
            let lifecycle = Lifecycle::new(TIMEOUT);
            lifecycle.spawn("task", task);
            let token = lifecycle.token();
            lifecycle.spawn("other", async move { token.cancelled().await });
            lifecycle.wait().await
        }
        assert_eq!(code(async { Ok(()) }).await, ExitCode::FAILURE);
        assert_eq!(code(async { Err("broken".to_owned()) }).await, ExitCode::FAILURE);
        assert_eq!(code(async { panic!("broken") }).await, ExitCode::FAILURE);
    }
}
