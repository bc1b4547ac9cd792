//! A receiver that answers as a test says, and time that passes fast.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use event::TestClock;
use event::sink::{Deliverer, Delivery, Failure, FailureKind, Guarantee, Rows};
use event::source::Stop;
use pipe::config::{CircuitConfig, RetryConfig};
use pipe::engine::outlet::{DeliveryPolicy, Outlet, Takes};

/// What a receiver says to one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Say {
    Yes,
    NotNow,
    Never,
    Nothing,
}

type Script = Box<dyn FnMut(&str, u32) -> Say + Send>;

/// Somebody who gets events. Clones are the same.
#[derive(Clone)]
pub(crate) struct Receiver(Arc<Mutex<Known>>);

struct Known {
    script: Script,
    tries: BTreeMap<String, u32>,
    got: Vec<String>,
    log: Vec<(String, Say)>,
    waves: Vec<usize>,
}

impl Receiver {
    /// `script` answers by the event's body and how often it was tried, from 1.
    pub(crate) fn new(script: impl FnMut(&str, u32) -> Say + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Known {
            script: Box::new(script),
            tries: BTreeMap::new(),
            got: Vec::new(),
            log: Vec::new(),
            waves: Vec::new(),
        })))
    }

    pub(crate) fn now_says(&self, script: impl FnMut(&str, u32) -> Say + Send + 'static) {
        self.0.lock().unwrap().script = Box::new(script);
    }

    /// What it took, in order.
    pub(crate) fn got(&self) -> Vec<String> {
        self.0.lock().unwrap().got.clone()
    }

    /// Every attempt with its answer.
    pub(crate) fn log(&self) -> Vec<(String, Say)> {
        self.0.lock().unwrap().log.clone()
    }

    pub(crate) fn tries(&self, body: &str) -> u32 {
        self.0.lock().unwrap().tries.get(body).copied().unwrap_or(0)
    }

    /// How many events each call had.
    pub(crate) fn waves(&self) -> Vec<usize> {
        self.0.lock().unwrap().waves.clone()
    }

    /// The outlet of the pipe's sink `number`, called `name` there.
    pub(crate) fn outlet(&self, number: u8, name: &str, policy: DeliveryPolicy) -> Outlet {
        let sink = Calls { name: name.to_owned(), receiver: self.clone() };
        Outlet::delivers(Takes::Routed(number), Box::new(sink), policy)
    }
}

struct Calls {
    name: String,
    receiver: Receiver,
}

impl Deliverer for Calls {
    fn name(&self) -> &str {
        &self.name
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }

    fn wave_events_max(&self) -> usize {
        500
    }

    fn deliver(&mut self, rows: &Rows<'_>, _: &Stop) -> Vec<Delivery> {
        let mut known = self.receiver.0.lock().unwrap();
        known.waves.push(rows.events.len());
        let answer = |(_, event): (usize, &event::Event)| {
            let body = String::from_utf8(rows.batch.body(event).to_vec()).unwrap();
            let tries = known.tries.entry(body.clone()).or_insert(0);
            *tries += 1;
            let tries = *tries;
            let said = (known.script)(&body, tries);
            known.log.push((body.clone(), said));
            let kind = match said {
                Say::Yes => {
                    known.got.push(body);
                    return Delivery::Delivered;
                }
                Say::NotNow => FailureKind::Transient,
                Say::Never => FailureKind::Deterministic,
                Say::Nothing => FailureKind::Unreachable,
            };
            let (class, message) = (format!("{said:?}").to_lowercase(), "the test says so".into());
            Delivery::Failed(Failure { class, message, kind, retry_after: None })
        };
        rows.iter().map(answer).collect()
    }
}

/// Attempts in quick succession.
pub(crate) fn policy(attempts_max: u64) -> DeliveryPolicy {
    DeliveryPolicy {
        retry: RetryConfig {
            attempts_max,
            backoff_min: Duration::from_millis(1),
            backoff_max: Duration::from_millis(4),
            ..RetryConfig::default()
        },
        circuit: CircuitConfig::default(),
    }
}

/// While it lives, `by_ms` of the test's time pass in every real millisecond.
pub(crate) struct Flow {
    _end: Sender<()>,
}

impl Flow {
    pub(crate) fn of(clock: &TestClock, by_ms: i64) -> Self {
        let (end, ended) = bounded::<()>(0);
        let clock = clock.clone();
        std::thread::spawn(move || {
            while ended.recv_timeout(Duration::from_millis(1))
                == Err(crossbeam_channel::RecvTimeoutError::Timeout)
            {
                clock.advance(by_ms);
            }
        });
        Self { _end: end }
    }
}

/// Asks to stop when it goes, so that a test that fails doesn't wait for ever for its pipe.
pub(crate) struct StopAtEnd<'a>(pub(crate) &'a Stop);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.ask();
        }
    }
}

/// Waits until `is` holds; fails the test after 30 s.
pub(crate) fn until(what: &str, mut is: impl FnMut() -> bool) {
    let began = std::time::Instant::now();
    while !is() {
        assert!(began.elapsed() < Duration::from_secs(30), "never: {what}");
        std::thread::yield_now();
    }
}
