//! Ctrl-C and its relatives as a flag that long waits look at, so that what was started is also ended.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

static RAISED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// How often waits look: short for a person, long for a processor.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(20);

/// From here on signals no longer end this program: [`check`] does. A second one of the same kind does again.
pub(crate) fn listen() -> Result<()> {
    let raised = Arc::clone(RAISED.get_or_init(Arc::default));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&raised))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&raised)))
            .context("cannot listen for signals")?;
    }
    Ok(())
}

/// Whether a signal came.
pub(crate) fn raised() -> bool {
    RAISED.get().is_some_and(|raised| raised.load(Ordering::Relaxed))
}

/// An error once a signal came.
pub(crate) fn check() -> Result<()> {
    if raised() {
        bail!("interrupted");
    }
    Ok(())
}

/// Asks `probe` until it answers, `limit` is over (then none) or a signal came (an error).
pub(crate) fn wait_for<T>(limit: Duration, mut probe: impl FnMut() -> Result<Option<T>>) -> Result<Option<T>> {
    let end = Instant::now() + limit;
    loop {
        check()?;
        if let Some(answer) = probe()? {
            return Ok(Some(answer));
        }
        if Instant::now() >= end {
            return Ok(None);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_ends_with_the_answer_or_the_limit() {
        let mut asked = 0;
        let answer = wait_for(Duration::from_secs(10), || {
            asked += 1;
            Ok((asked == 3).then_some(asked))
        });
        assert_eq!(answer.expect("no signal"), Some(3));
        assert_eq!(wait_for(Duration::ZERO, || Ok(None::<()>)).expect("no signal"), None);
        assert!(wait_for(Duration::ZERO, || -> Result<Option<()>> { bail!("broken") }).is_err());
    }
}
