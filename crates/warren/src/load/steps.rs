//! Stops between the parts of a load: somebody else stops services, starts them, or measures there.

use std::io;

use super::progress::Progress;

/// What a line on standard error begins with that tells which part is next.
const NEXT: &str = "next: ";

/// Whether to stop.
#[derive(Debug, Clone, Copy)]
pub(super) struct Steps(pub(super) bool);

impl Steps {
    /// Says what is next, and waits for a line on standard input. Its end lets everything go on.
    ///
    /// # Errors
    /// When standard input cannot be read.
    pub(super) async fn before(self, next: &str, progress: &Progress) -> anyhow::Result<()> {
        if self.0 {
            progress.end();
            eprintln!("{NEXT}{next}; waiting for a line on standard input");
            // beside the runtime, which keeps its connections alive meanwhile
            tokio::task::spawn_blocking(|| io::stdin().read_line(&mut String::new())).await??;
        }
        Ok(())
    }
}
