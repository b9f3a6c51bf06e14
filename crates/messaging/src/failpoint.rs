//! Failpoints: places at which a test has the process stop, as a crash there would stop it.
//!
//! They are compiled in only with the feature `failpoints`, which tests alone turn on, and only without optimisation, so that
//! no release has them whatever is turned on. Elsewhere [`reach`] and [`is_broken`] are nothing.
//!
//! `WARREN_FAILPOINT=NAME` stops the process when it comes to the place for the first time, `NAME:N` at the Nth time.
//! `WARREN_BREAK=NAME` has the process do something wrong all the time, to see that it would be found.

/// Comes to the failpoint of that name: the process ends here if a test asks for it.
#[inline]
pub fn reach(name: &'static str) {
    #[cfg(all(feature = "failpoints", debug_assertions))]
    compiled_in::reach(name);
    #[cfg(not(all(feature = "failpoints", debug_assertions)))]
    let _ = name;
}

/// Whether a test wants the process to do this wrong.
#[inline]
#[must_use]
pub fn is_broken(name: &'static str) -> bool {
    #[cfg(all(feature = "failpoints", debug_assertions))]
    return compiled_in::is_broken(name);
    #[cfg(not(all(feature = "failpoints", debug_assertions)))]
    {
        let _ = name;
        false
    }
}

#[cfg(all(feature = "failpoints", debug_assertions))]
mod compiled_in {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Which failpoint stops this process, and at which time.
    struct Wanted {
        name: String,
        time: u64,
        reached: AtomicU64,
    }

    pub(super) fn reach(name: &'static str) {
        static WANTED: OnceLock<Option<Wanted>> = OnceLock::new();
        let wanted = WANTED.get_or_init(|| std::env::var("WARREN_FAILPOINT").ok().map(|text| read(&text)));
        let Some(wanted) = wanted.as_ref().filter(|wanted| wanted.name == name) else { return };
        if wanted.reached.fetch_add(1, Ordering::Relaxed) + 1 == wanted.time {
            tracing::error!(failpoint = name, "the process stops here, as a test asked for");
            std::process::abort();
        }
    }

    pub(super) fn is_broken(name: &'static str) -> bool {
        static BROKEN: OnceLock<Option<String>> = OnceLock::new();
        let broken = BROKEN.get_or_init(|| std::env::var("WARREN_BREAK").ok());
        broken.as_deref() == Some(name)
    }

    fn read(text: &str) -> Wanted {
        let (name, time) = text.split_once(':').unwrap_or((text, "1"));
        let time = time.parse().expect("WARREN_FAILPOINT is NAME or NAME:N");
        Wanted { name: name.to_owned(), time, reached: AtomicU64::new(0) }
    }
}
