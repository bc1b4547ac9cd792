//! Looks at a running program every second: alarms go to the log and to webhooks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use pipe::config::PipeConfig;

use crate::alarms::{Alarm, Alarms, Change, Thresholds};
use crate::now::{Now, Watch};
use crate::webhook::Webhook;

/// How often it looks.
const LOOK: Duration = Duration::from_secs(1);

/// Looks at a running program, on a thread of its own.
pub struct Monitor {
    shared: Arc<Shared>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    watch: Arc<Watch>,
    alarms: Mutex<Alarms>,
    /// The names of all pipes.
    pipes: BTreeSet<String>,
    /// By pipe.
    webhooks: Vec<(String, Webhook)>,
    seen: Box<dyn Fn(&Now) + Send + Sync>,
}

impl Monitor {
    /// Starts it. `seen` is called after each look.
    ///
    /// # Errors
    /// No thread could be started.
    pub fn start(
        watch: Arc<Watch>,
        configs: &[PipeConfig],
        seen: impl Fn(&Now) + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let mut webhooks = Vec::new();
        for config in configs {
            if let Some(url) = &config.alarms.webhook {
                webhooks.push((config.pipe.clone(), Webhook::start(url.clone())?));
            }
        }
        let shared = Arc::new(Shared {
            watch,
            alarms: Mutex::new(Alarms::new(thresholds(configs))),
            pipes: configs.iter().map(|config| config.pipe.clone()).collect(),
            webhooks,
            seen: Box::new(seen),
        });
        let (stop, stopped) = bounded::<()>(0);
        let looks = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("monitor".to_owned()).spawn(move || {
            // It is told to stop by the sender's end.
            while stopped.recv_timeout(LOOK).is_err_and(|error| error.is_timeout()) {
                looks.look();
            }
        })?;
        Ok(Self { shared, stop: Some(stop), thread: Some(thread) })
    }

    /// The alarms that stand, as of the last look.
    #[must_use]
    pub fn alarms(&self) -> Vec<Alarm> {
        self.shared.alarms()
    }

    /// A handle that can look at the alarms from elsewhere.
    #[must_use]
    pub fn reader(&self) -> AlarmReader {
        AlarmReader(Arc::clone(&self.shared))
    }

    /// Looks once more, and ends.
    pub fn end(mut self) {
        self.stop_thread();
        self.shared.look();
    }

    fn stop_thread(&mut self) {
        self.stop = None;
        let _ = self.thread.take().map(JoinHandle::join); // it has nothing to say
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.stop_thread();
    }
}

/// Reads the alarms that stand.
#[derive(Clone)]
pub struct AlarmReader(Arc<Shared>);

impl AlarmReader {
    /// The alarms that stand, as of the last look.
    #[must_use]
    pub fn alarms(&self) -> Vec<Alarm> {
        self.0.alarms()
    }
}

impl Shared {
    fn alarms(&self) -> Vec<Alarm> {
        let alarms = self.alarms.lock().unwrap_or_else(PoisonError::into_inner);
        alarms.standing().cloned().collect()
    }

    fn look(&self) {
        let now = self.watch.now();
        let changes = self.alarms.lock().unwrap_or_else(PoisonError::into_inner).look(&now);
        for change in &changes {
            log(change);
            let (Change::Raised(alarm) | Change::Over(alarm)) = change;
            for (pipe, webhook) in &self.webhooks {
                if concerns(pipe, alarm, &self.pipes) {
                    webhook.tell(change);
                }
            }
        }
        (self.seen)(&now);
    }
}

/// Whether the webhook of `pipe` is told of an alarm: of that pipe's, and of those that are of no
/// pipe (a queue, the disk). Another pipe's are its own webhook's business, or nobody's.
fn concerns(pipe: &str, alarm: &Alarm, pipes: &BTreeSet<String>) -> bool {
    alarm.of == pipe || !pipes.contains(&alarm.of)
}

fn log(change: &Change) {
    match change {
        Change::Raised(alarm) => {
            tracing::warn!(alarm = alarm.kind.name(), of = alarm.of, "{}", alarm.what);
        }
        Change::Over(alarm) => {
            tracing::info!(alarm = alarm.kind.name(), of = alarm.of, "the alarm is over");
        }
    }
}

fn thresholds(configs: &[PipeConfig]) -> BTreeMap<String, Thresholds> {
    let of = |config: &PipeConfig| Thresholds {
        lag_max: config.alarms.lag_max,
        rejected_max: config.alarms.rejected_max,
        dead_letters_max: config.limits.dead_letters_max,
        parked_bytes_max: config.limits.parked_bytes_max,
    };
    configs.iter().map(|config| (config.pipe.clone(), of(config))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarms::AlarmKind;

    #[test]
    fn a_webhook_hears_of_its_own_pipe_and_of_what_all_share() {
        let pipes = ["a", "b"].map(str::to_owned).into();
        let alarm = |of: &str| Alarm {
            kind: AlarmKind::Storage,
            of: of.into(),
            what: String::new(),
            since_ms: 0,
            batch: None,
        };
        assert!(concerns("a", &alarm("a"), &pipes));
        assert!(concerns("a", &alarm("disk"), &pipes));
        assert!(concerns("a", &alarm("queue b"), &pipes));
        assert!(!concerns("a", &alarm("b"), &pipes), "also when b has no webhook");
    }
}
