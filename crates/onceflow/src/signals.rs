//! SIGTERM and SIGINT: the first drains, the second ends at once.

use event::source::Stop;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::exit::{Exit, Failure};

/// Asks `stop` at the first signal.
pub(crate) fn listen(stop: Stop) -> Result<(), Failure> {
    let cannot = |error| Failure::new(Exit::Failed, format!("cannot listen for signals: {error}"));
    let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(cannot)?;
    let wait = move || {
        for signal in signals.forever() {
            if stop.asked() {
                // As a shell sees a process that a signal ended. Nothing needs tidying: what is
                // committed is safe, and the rest comes again.
                signal_hook::low_level::exit(128 + signal);
            }
            stop.ask();
            tracing::info!("asked to stop: settling what is under way; once more ends at once");
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(wait).map_err(cannot)?;
    Ok(())
}
