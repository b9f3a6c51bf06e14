//! A replay of one service's letters: hand over, listen, ask, stop.

use std::time::{Duration, Instant};

use contracts::event::Service;
use contracts::values::EventId;
use messaging::dead_letters::{DeadLetterError, DeadLetters, Failures, Letter};
use serde_json::{Value, json};
use tokio::time::{sleep, sleep_until, timeout};

use super::desk::Desk;
use super::outcomes::{self, Outcomes, PAUSE};
use super::pace::{Pace, Steps};
use super::progress::Progress;
use super::select::Selection;
use crate::failure::Verdict;
use crate::output::{self, Paint};

/// How long no outcome at all may become known before nobody waits any longer.
const PATIENCE: Duration = Duration::from_mins(1);

/// The same once it is clear that the replay stops: what is under way has its outcome in a moment, as a rule.
const STOPPED_PATIENCE: Duration = Duration::from_secs(10);

/// Where the service cannot be asked: how long its queue is empty and nothing fails before that is taken for success.
const QUIET: Duration = Duration::from_secs(3);

/// What a replay came to.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// How many letters were handed over.
    pub(crate) replayed: usize,
    /// What failed again.
    pub(crate) failed: Vec<Value>,
    /// How many have had no outcome, although it was waited for.
    pub(crate) unsettled: usize,
    /// Whether it ended before the last letter.
    pub(crate) stopped: bool,
    /// How many letters were left where they were because of that, at least.
    pub(crate) left: usize,
}

impl Tally {
    fn note(&mut self, letter: &Letter) {
        self.failed.push(json!({"queue": letter.service.name(), "id": letter.id, "type": letter.event_type,
            "error_kind": letter.error_kind, "error": letter.error, "handler": letter.handler}));
    }

    /// The same as JSON.
    pub(crate) fn value(&self) -> Value {
        json!({"replayed": self.replayed, "failed": self.failed, "unsettled": self.unsettled, "stopped": self.stopped,
            "left": self.left})
    }

    /// Prints it; failed when anything did.
    ///
    /// # Errors
    /// When standard output is closed.
    pub(super) fn print(&self, run: &str, json: bool) -> anyhow::Result<Verdict> {
        if json {
            let mut value = self.value();
            value["run"] = run.into();
            output::print_json(&value)?;
        } else {
            let paint = Paint::stdout();
            for failed in &self.failed {
                let text = |name: &str| failed[name].as_str().unwrap_or_default();
                output::print(&format!(
                    "{} {} {}: {} in {}: {}",
                    paint.red("failed again:"),
                    text("queue"),
                    text("id"),
                    text("error_kind"),
                    text("handler"),
                    text("error")
                ))?;
            }
            if self.unsettled > 0 {
                let unsettled = self.unsettled;
                output::print(&format!("{} {unsettled} replayed, not handled yet", paint.yellow("waiting:")))?;
            }
            let stopped = if self.stopped { format!("; stopped, {} letters left", self.left) } else { String::new() };
            output::print(&format!("{} replayed, {} failed again{stopped}", self.replayed, self.failed.len()))?;
        }
        let fine = self.failed.is_empty() && self.unsettled == 0;
        Ok(if fine { Verdict::Fine } else { Verdict::Failed })
    }
}

/// How outcomes are learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finding {
    /// Each has to be known before the replay goes on.
    Each,
    /// The service is asked if it can be.
    IfPossible,
}

/// A way to learn outcomes. The service is asked something at once, so that a wrong address or token is told before
/// anything is changed.
///
/// # Errors
/// With [`Finding::Each`], when the service cannot be asked.
pub(super) async fn outcomes(service: Service, desk: &Desk<'_>, finding: Finding) -> anyhow::Result<Outcomes> {
    let client = async {
        let client = desk.clients.client(service)?;
        outcomes::done(&client, EventId::new()).await?;
        anyhow::Ok(client)
    };
    match (client.await, finding) {
        (Ok(client), _) => Ok(Outcomes::new(Some(client), finding == Finding::Each)),
        (Err(error), Finding::Each) => Err(error.context("a canary has to ask the service for outcomes")),
        (Err(error), Finding::IfPossible) => {
            let why = format!("{service} cannot be asked for outcomes ({error:#}); watching for failures alone");
            desk.progress.say(why);
            Ok(Outcomes::new(None, false))
        }
    }
}

/// One pass over a service's letters.
pub(super) struct Pass<'a> {
    pub(super) letters: DeadLetters,
    pub(super) failures: Failures,
    pub(super) progress: &'a Progress,
    pub(super) selection: &'a Selection,
    pub(super) keep_going: bool,
    pub(super) steps: Option<Steps>,
    pub(super) pace: &'a mut Pace,
    pub(super) outcomes: &'a mut Outcomes,
    pub(super) tally: &'a mut Tally,
}

impl Pass<'_> {
    /// Replays letter after letter to the last, or to the first that fails again.
    pub(super) async fn run(&mut self) -> Result<(), DeadLetterError> {
        loop {
            let window = self.gather().await?;
            if window.is_empty() {
                break;
            }
            if self.must_stop_before_next().await? {
                self.tally.stopped = true;
                self.tally.left += window.len() + self.letters.left() as usize;
                break;
            }
            self.pace.begin();
            self.letters.replay(&window, self.progress.run()).await?;
            self.tally.replayed += window.len();
            self.progress.note(self.tally, self.outcomes.open());
            for letter in &window {
                self.outcomes.expect(letter.id.clone(), letter.event_id.filter(|_| letter.is_event()));
            }
            let step = self.steps.as_mut().and_then(|steps| steps.count(window.len()));
            if let (Some(step), Some(steps)) = (step, &mut self.steps) {
                conclude(&self.letters, &mut self.failures, self.outcomes, self.progress, self.tally).await?;
                if !self.tally.failed.is_empty() || self.tally.unsettled > 0 {
                    self.tally.stopped = self.letters.left() > 0;
                    self.tally.left += self.letters.left() as usize;
                    return Ok(());
                }
                self.progress.say(format!("{}: {step} done, {} in all", self.letters.service(), self.tally.replayed));
                steps.advance();
            }
        }
        conclude(&self.letters, &mut self.failures, self.outcomes, self.progress, self.tally).await
    }

    /// The next letters that are to be replayed. The others stay in hand.
    async fn gather(&mut self) -> Result<Vec<Letter>, DeadLetterError> {
        let room = self.pace.window().min(self.steps.as_ref().map_or(usize::MAX, Steps::room));
        let mut window = Vec::new();
        while window.len() < room
            && let Some(letter) = self.letters.next().await?
        {
            if letter.replay.as_deref() == Some(self.progress.run()) {
                // it came back in an earlier pass of this run, which lost its connection before it heard of it
                if !self.tally.failed.iter().any(|failed| failed["id"] == letter.id.as_str()) {
                    self.tally.note(&letter);
                }
            } else if self.selection.has(&letter) {
                window.push(letter);
            }
        }
        Ok(window)
    }

    /// Waits as long as the rate wants it, and listens meanwhile. Whether something has failed, and that is the end.
    async fn must_stop_before_next(&mut self) -> Result<bool, DeadLetterError> {
        loop {
            let has_failed = !self.tally.failed.is_empty() && !self.keep_going;
            if has_failed || self.progress.is_stopping() {
                return Ok(true);
            }
            let heard = match self.pace.next() {
                Some(next) => tokio::select! {
                    failed = self.failures.next() => Some(failed?),
                    () = self.progress.stopping() => return Ok(true),
                    () = sleep_until(next) => return Ok(false),
                },
                // what has arrived already
                None => timeout(Duration::ZERO, self.failures.next()).await.ok().transpose()?,
            };
            match heard {
                Some(letter) => hear(&letter, self.progress.run(), self.outcomes, self.tally),
                None => return Ok(false),
            }
        }
    }
}

fn hear(letter: &Letter, run: &str, outcomes: &mut Outcomes, tally: &mut Tally) {
    if letter.replay.as_deref() == Some(run) {
        outcomes.failed(&letter.id);
        tally.note(letter);
    }
}

/// Waits until the outcomes of all that was handed over are known, or nothing becomes known for too long.
///
/// # Errors
/// When the connection to the broker is lost.
pub(super) async fn conclude(
    letters: &DeadLetters,
    failures: &mut Failures,
    outcomes: &mut Outcomes,
    progress: &Progress,
    tally: &mut Tally,
) -> Result<(), DeadLetterError> {
    let run = progress.run();
    let (mut moved, mut pause) = (Instant::now(), PAUSE.0);
    while outcomes.open() > 0 {
        let before = (outcomes.open(), tally.failed.len());
        let asked = outcomes.ask().await;
        if outcomes.open() == 0 {
            break;
        }
        if asked == 0 {
            let heard = tokio::select! {
                failed = failures.next() => Some(failed?),
                () = sleep(pause) => None,
            };
            heard.iter().for_each(|letter| hear(letter, run, outcomes, tally));
        }
        if !outcomes.can_ask() {
            if letters.waiting_for_service().await? > 0 {
                pause = PAUSE.0;
            } else if moved.elapsed() > QUIET {
                outcomes.forget();
            }
        }
        if (outcomes.open(), tally.failed.len()) != before {
            (moved, pause) = (Instant::now(), PAUSE.0);
            progress.note(tally, outcomes.open());
        } else {
            pause = (pause * 2).min(PAUSE.1);
        }
        let patience = if tally.failed.is_empty() { PATIENCE } else { STOPPED_PATIENCE };
        if moved.elapsed() > patience {
            let example = outcomes.example().unwrap_or_default().to_owned();
            progress.say(format!(
                "{} replayed messages, {example} among them, are in the queue {} and have no outcome after {} s; is the \
                 service running?",
                outcomes.open(),
                letters.service(),
                patience.as_secs()
            ));
            tally.unsettled += outcomes.open();
            outcomes.forget();
        }
    }
    // what failed in the same moment
    while let Ok(letter) = timeout(Duration::ZERO, failures.next()).await {
        hear(&letter?, run, outcomes, tally);
    }
    progress.note(tally, outcomes.open());
    Ok(())
}
