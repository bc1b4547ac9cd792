//! A wave of events on its way: calls that several threads make, and what each call says of its
//! events.

use std::any::Any;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use event::path::FieldPath;
use event::sink::{Delivery, Failure, FailureKind};
use event::source::Stop;

use super::client::{HttpAnswer, HttpClient, HttpRequest, NotAnswered};
use super::failure::{failure, may_be_one_event};
use super::plan::{Item, Plan, Shape};
use super::{key, partial};

/// After so many calls in a row without an answer, no more are begun: the receiver is down, and
/// the pipe decides when to ask again.
const UNREACHABLE_MAX: usize = 3;
/// The header that tells a replayed event.
const REPLAY_HEADER: &str = "x-onceflow-replay";

/// Who makes calls.
pub(super) trait Calls: Send + Sync {
    fn call(&self, request: &HttpRequest<'_>) -> Result<HttpAnswer, NotAnswered>;
}

impl Calls for HttpClient {
    fn call(&self, request: &HttpRequest<'_>) -> Result<HttpAnswer, NotAnswered> {
        self.call(request)
    }
}

/// What all calls of a sink have in common.
pub(super) struct Receiver {
    pub(super) calls: Arc<dyn Calls>,
    pub(super) shape: Shape,
    pub(super) failures: Option<FieldPath>,
    pub(super) idempotency_header: Option<String>,
}

/// A wave.
pub(super) struct Wave {
    pub(super) receiver: Arc<Receiver>,
    pub(super) plan: Plan,
    /// Id of the replay that the events come with.
    pub(super) replay: Option<String>,
    pub(super) stop: Stop,
    /// No call is begun later, but for one that finds out which event of a call is to blame.
    pub(super) end: Instant,
    next: AtomicUsize,
    unreachable: AtomicUsize,
}

/// What a call says of its events.
enum Said {
    Each(Vec<Delivery>),
    All(Delivery),
    /// One of them is to blame, and nobody says which.
    Some(Failure),
}

impl Wave {
    pub(super) fn new(
        receiver: Arc<Receiver>,
        plan: Plan,
        replay: Option<String>,
        stop: Stop,
        end: Instant,
    ) -> Self {
        let (next, unreachable) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { receiver, plan, replay, stop, end, next, unreachable }
    }

    /// Makes calls until none is left. `tell` gets each call's events and what became of them.
    pub(super) fn work(&self, mut tell: impl FnMut(Range<usize>, Vec<Delivery>)) {
        let mut body = Vec::new();
        while let Some(call) = self.claim() {
            let made = catch_unwind(AssertUnwindSafe(|| {
                let mut out = Vec::with_capacity(call.len());
                self.deliver(&call, &mut out, &mut body);
                out
            }));
            let out = made.unwrap_or_else(|panic| {
                body = Vec::new();
                let message = format!("a call panicked: {}", said_of(&*panic));
                let why = failure(FailureKind::Deterministic, "panic", message);
                vec![Delivery::Failed(why); call.len()]
            });
            tell(call, out);
        }
    }

    fn claim(&self) -> Option<Range<usize>> {
        if !self.goes_on() || Instant::now() >= self.end {
            return None;
        }
        self.plan.calls.get(self.next.fetch_add(1, Ordering::Relaxed)).cloned()
    }

    /// Whether further calls make sense.
    fn goes_on(&self) -> bool {
        !self.stop.asked() && self.unreachable.load(Ordering::Relaxed) < UNREACHABLE_MAX
    }

    /// Calls with these events, and again with fewer until it is known which are to blame. Adds
    /// one answer for each to `out`, which holds those of the call's events before them.
    fn deliver(&self, events: &Range<usize>, out: &mut Vec<Delivery>, body: &mut Vec<u8>) {
        let settled = out.iter().any(|delivery| *delivery != Delivery::NotTried);
        // A call that was bisected in vain would be bisected in vain again: it goes on until it
        // knows something new.
        let searching = *events != self.whole(events) && !settled;
        let late = !searching && Instant::now() >= self.end;
        let said = if late || !self.goes_on() {
            Said::All(Delivery::NotTried)
        } else {
            self.attempt(events, (!searching).then_some(self.end), body)
        };
        match said {
            Said::Each(each) => out.extend(each),
            Said::All(delivery) => out.extend(std::iter::repeat_n(delivery, events.len())),
            Said::Some(why) => {
                let may_be_size = why.class == "http_413";
                self.halves(events, may_be_size, out, body);
            }
        }
    }

    /// The call that these events were planned for.
    fn whole(&self, events: &Range<usize>) -> Range<usize> {
        let at = self.plan.calls.partition_point(|call| call.end <= events.start);
        self.plan.calls.get(at).cloned().unwrap_or_default()
    }

    /// One of these events is to blame. If the first half has none of them, the second has, and is
    /// not asked as a whole; but together they may have been too large.
    fn halves(
        &self,
        events: &Range<usize>,
        may_be_size: bool,
        out: &mut Vec<Delivery>,
        body: &mut Vec<u8>,
    ) {
        let middle = events.start + events.len() / 2;
        let before = out.len();
        self.deliver(&(events.start..middle), out, body);
        let mut first = out.iter().skip(before);
        let rest = middle..events.end;
        if !may_be_size && rest.len() > 1 && first.all(|one| *one == Delivery::Delivered) {
            self.halves(&rest, may_be_size, out, body);
        } else {
            self.deliver(&rest, out, body);
        }
    }

    fn attempt(
        &self,
        events: &Range<usize>,
        begin_before: Option<Instant>,
        body: &mut Vec<u8>,
    ) -> Said {
        let items = self.plan.items.get(events.clone()).unwrap_or_default();
        let receiver = &*self.receiver;
        let key = key::text(items.iter().map(|item| item.key));
        let mut headers = Vec::with_capacity(2);
        if let Some(name) = &receiver.idempotency_header {
            headers.push((name.as_str(), key.as_str()));
        }
        if let Some(id) = &self.replay {
            headers.push((REPLAY_HEADER, id.as_str()));
        }
        let answer = receiver.calls.call(&HttpRequest {
            content_type: receiver.shape.content_type(),
            headers: &headers,
            repeatable: receiver.idempotency_header.is_some(),
            stop: Some(&self.stop),
            begin_before,
            ..HttpRequest::json(receiver.shape.write(items, body))
        });
        match answer {
            Ok(answer) => {
                self.unreachable.store(0, Ordering::Relaxed);
                self.read(answer, items)
            }
            Err(NotAnswered::NotTried) => Said::All(Delivery::NotTried),
            Err(NotAnswered::Failed(why)) => {
                if why.kind == FailureKind::Unreachable {
                    self.unreachable.fetch_add(1, Ordering::Relaxed);
                } else {
                    self.unreachable.store(0, Ordering::Relaxed);
                }
                if items.len() > 1 && may_be_one_event(&why) {
                    Said::Some(why)
                } else {
                    Said::All(Delivery::Failed(why))
                }
            }
        }
    }

    fn read(&self, answer: HttpAnswer, items: &[Item]) -> Said {
        let several = self.receiver.shape.events_max > 1;
        let Some(path) = self.receiver.failures.as_ref().filter(|_| several) else {
            return Said::All(Delivery::Delivered);
        };
        let body = match answer.body {
            Ok(body) => body,
            Err(why) => return Said::All(Delivery::Failed(why)),
        };
        let keys: Vec<u128> = items.iter().map(|item| item.key).collect();
        match partial::failed(&body, path, &keys) {
            Ok(failed) => {
                let mut each = vec![Delivery::Delivered; items.len()];
                for (index, why) in failed {
                    if let Some(delivery) = each.get_mut(index) {
                        *delivery = Delivery::Failed(why);
                    }
                }
                Said::Each(each)
            }
            Err(what) => {
                let message = format!("the list of failed events can't be read: {what}");
                let why = failure(FailureKind::Transient, "nonsense", message);
                Said::All(Delivery::Failed(why))
            }
        }
    }
}

fn said_of(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no message)")
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use bytes::Bytes;

    use super::super::HttpBody;
    use super::*;

    /// A receiver without a network: `say` gets each body.
    struct Fake<F>(F, Mutex<Vec<String>>);

    impl<F: Fn(&str) -> Result<(), Failure> + Send + Sync> Calls for Fake<F> {
        fn call(&self, request: &HttpRequest<'_>) -> Result<HttpAnswer, NotAnswered> {
            let body = String::from_utf8(request.body.to_vec()).unwrap();
            self.1.lock().unwrap().push(body.clone());
            (self.0)(&body).map_err(NotAnswered::Failed)?;
            Ok(HttpAnswer { status: 200, body: Ok(vec![]) })
        }
    }

    /// Delivers events `0` to `count` in calls of `events_max`; gives classes and bodies of calls.
    fn wave(
        count: usize,
        events_max: usize,
        end: Instant,
        say: impl Fn(&str) -> Result<(), Failure> + Send + Sync + 'static,
    ) -> (Vec<String>, Vec<String>) {
        let items = (0..count)
            .map(|row| Item { row, body: Bytes::from(row.to_string()), key: row as u128 })
            .collect();
        let calls = (0..count).step_by(events_max);
        let calls = calls.map(|from| from..(from + events_max).min(count)).collect();
        let fake = Arc::new(Fake(say, Mutex::default()));
        let receiver = Receiver {
            calls: Arc::<Fake<_>>::clone(&fake),
            shape: Shape { events_max, bytes_max: 1 << 20, body: HttpBody::Ndjson },
            failures: None,
            idempotency_header: None,
        };
        let plan = Plan { items, calls, refused: vec![] };
        let wave = Wave::new(Arc::new(receiver), plan, None, Stop::default(), end);
        let mut classes = vec!["not tried".to_owned(); count];
        wave.work(|call, out| {
            assert_eq!(call.len(), out.len());
            for (row, delivery) in call.zip(out) {
                classes[row] = match delivery {
                    Delivery::Delivered => "delivered".into(),
                    Delivery::NotTried => "not tried".into(),
                    Delivery::Failed(why) => format!("{} {:?}", why.class, why.kind),
                };
            }
        });
        let bodies = fake.1.lock().unwrap().clone();
        (classes, bodies.iter().map(|body| body.trim().replace('\n', " ")).collect())
    }

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(3600)
    }

    fn no(class: &str) -> Result<(), Failure> {
        Err(failure(FailureKind::Deterministic, class, String::new()))
    }

    #[test]
    fn a_panic_is_told_and_the_next_call_is_made() {
        let (classes, _) = wave(3, 1, later(), |body| {
            assert!(body != "1", "this one");
            Ok(())
        });
        assert_eq!(classes, ["delivered", "panic Deterministic", "delivered"]);
    }

    #[test]
    fn no_call_begins_after_the_end() {
        let (classes, bodies) = wave(3, 1, Instant::now(), |_| Ok(()));
        assert_eq!((classes, bodies), (vec!["not tried".to_owned(); 3], vec![]));
    }

    #[test]
    fn a_search_that_outlasts_the_wave_ends_once_it_knows_something() {
        let end = Instant::now() + Duration::from_millis(30);
        let (classes, bodies) = wave(8, 8, end, move |body| {
            while Instant::now() < end {
                std::hint::spin_loop(); // the first call takes the whole time
            }
            if body.contains('0') { no("http_422") } else { Ok(()) }
        });
        assert_eq!(bodies, ["0 1 2 3 4 5 6 7", "0 1 2 3", "0 1", "0"]);
        assert_eq!(classes[0], "http_422 Deterministic");
        assert!(classes.iter().skip(1).all(|class| class == "not tried"), "{classes:?}");
    }

    #[test]
    fn a_search_ends_when_the_receiver_goes_away() {
        let (classes, bodies) = wave(8, 8, later(), |body| match body.lines().count() {
            8 => no("http_400"),
            _ => Err(failure(FailureKind::Unreachable, "connect", String::new())),
        });
        assert_eq!(bodies.len(), 3, "its halves are asked, and fail as one each");
        assert_eq!(classes, vec!["connect Unreachable"; 8]);
    }
}
