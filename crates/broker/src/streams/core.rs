//! What puts, readers and the journal's thread share of one stream.

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use journal::{AppendError, PendingAppend, Position};
use tokio::sync::oneshot;

use super::arrivals::Arrivals;
use super::lock;
use super::record::Put;
use super::state::State;
use crate::error::BrokerError;
use crate::producer::{Producer, Sequence};

/// What puts, readers and the journal's thread share of one stream. Knows no journal, so that the
/// journal's thread may be the last to hold it.
pub(super) struct Core {
    pub(super) shared: Mutex<Shared>,
    /// Something that was in flight is settled.
    pub(super) settled: Condvar,
    pub(super) arrivals: Arrivals,
    /// Why storage failed, of any stream: then nothing more is taken (P7).
    pub(super) stopped: Arc<OnceLock<String>>,
}

/// What is durable, and what is on its way.
pub(super) struct Shared {
    pub(super) state: State,
    /// In the order of the journal. The first one's append knows the core as its waker.
    in_flight: VecDeque<InFlight>,
    /// Bytes of puts in there.
    pub(super) in_flight_bytes: u64,
    /// Producers that have a put in there.
    pub(super) producing: HashSet<Producer>,
    /// Producers whose last put was refused: its first sequence, and why. Were a later one taken,
    /// that one's records would count as repeats when they come again.
    pub(super) refused: HashMap<Producer, (Sequence, BrokerError)>,
}

/// A record that waits for the journal.
pub(super) struct InFlight {
    pub(super) append: PendingAppend,
    pub(super) what: What,
}

/// What waits.
pub(super) enum What {
    Put(PutInFlight),
    State,
}

pub(super) struct PutInFlight {
    pub(super) arrived_ms: i64,
    pub(super) bytes: usize,
    /// With the shards; the numbers come with durability.
    pub(super) puts: Vec<Put>,
    pub(super) producer: Option<Producing>,
    pub(super) answer: AnswerTo,
}

/// What a producer puts.
pub(super) struct Producing {
    pub(super) producer: Producer,
    pub(super) first: Sequence,
    pub(super) last: Sequence,
}

/// Who is told.
pub(super) enum AnswerTo {
    Put(oneshot::Sender<Result<Vec<Put>, BrokerError>>),
    PutOnce(oneshot::Sender<Result<(), BrokerError>>),
}

impl AnswerTo {
    fn send(self, outcome: Result<Vec<Put>, BrokerError>) {
        // Nobody has to wait for it.
        match self {
            Self::Put(answer) => drop(answer.send(outcome)),
            Self::PutOnce(answer) => drop(answer.send(outcome.map(drop))),
        }
    }
}

type Answer = (AnswerTo, Result<Vec<Put>, BrokerError>);

impl Core {
    pub(super) fn new(state: State, stopped: Arc<OnceLock<String>>) -> Arc<Self> {
        let shared = Shared {
            state,
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            producing: HashSet::new(),
            refused: HashMap::new(),
        };
        Arc::new(Self {
            shared: Mutex::new(shared),
            settled: Condvar::new(),
            arrivals: Arrivals::default(),
            stopped,
        })
    }

    /// Takes what was just submitted. Called in the order of the submits.
    pub(super) fn submitted(self: &Arc<Self>, in_flight: InFlight) {
        let mut shared = lock(&self.shared);
        if let What::Put(put) = &in_flight.what {
            shared.in_flight_bytes += put.bytes as u64;
        }
        shared.in_flight.push_back(in_flight);
        let first = shared.in_flight.len() == 1;
        drop(shared);
        if first {
            self.settle();
        }
    }

    /// Blocks until nothing is in flight, and then looks at what is durable. Only sensible for who
    /// keeps others from submitting.
    pub(super) fn drained<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        let mut shared = lock(&self.shared);
        while !shared.in_flight.is_empty() {
            shared = self.settled.wait(shared).unwrap_or_else(PoisonError::into_inner);
        }
        look(&shared.state)
    }

    /// Takes the journal's answers, in order: here, and only here, do records get numbers and
    /// become readable. Runs on the journal's thread, or where an answer was there at once; calls
    /// nothing that waits for the journal's thread.
    fn settle(self: &Arc<Self>) {
        let waker = Waker::from(Arc::clone(self));
        let mut context = Context::from_waker(&waker);
        let mut answers: Vec<Answer> = Vec::new();
        let mut any = false;
        let mut shared = lock(&self.shared);
        while let Some(first) = shared.in_flight.front_mut() {
            let Poll::Ready(outcome) = Pin::new(&mut first.append).poll(&mut context) else {
                break;
            };
            let Some(first) = shared.in_flight.pop_front() else { break };
            any = true;
            answers.extend(shared.settle(first.what, outcome, &self.stopped));
        }
        // Still under the lock, so that whoever sees the count finds the records.
        if any {
            self.arrivals.grow();
        }
        drop(shared);
        if any {
            self.settled.notify_all();
        }
        for (answer, outcome) in answers {
            answer.send(outcome);
        }
    }
}

impl Wake for Core {
    fn wake(self: Arc<Self>) {
        self.settle();
    }
}

impl Shared {
    fn settle(
        &mut self,
        what: What,
        outcome: Result<Position, AppendError>,
        stopped: &OnceLock<String>,
    ) -> Option<Answer> {
        if let Err(AppendError::Poisoned { cause }) = &outcome {
            stopped.get_or_init(|| cause.to_string());
        }
        match what {
            What::State => {
                if let Ok(position) = outcome {
                    self.state.state_written(position.0);
                }
                None
            }
            What::Put(put) => Some(self.settle_put(put, outcome)),
        }
    }

    fn settle_put(
        &mut self,
        mut put: PutInFlight,
        outcome: Result<Position, AppendError>,
    ) -> Answer {
        self.in_flight_bytes -= put.bytes as u64;
        let outcome = outcome.map_err(append_failed);
        if let Some(producing) = &put.producer {
            self.produced(&producing.producer, producing.first, outcome.as_ref().err());
        }
        let position = match outcome {
            Ok(position) => position,
            Err(error) => return (put.answer, Err(error)),
        };
        self.state.put_begins(position.0, put.arrived_ms, put.bytes);
        for place in &mut put.puts {
            place.sequence = self.state.number(place.shard);
        }
        if let Some(Producing { producer, last, .. }) = put.producer {
            self.state.produced(producer, last);
        }
        (put.answer, Ok(put.puts))
    }

    /// A producer's put from `first` on is settled, or was never given to the journal.
    pub(super) fn produced(
        &mut self,
        producer: &Producer,
        first: Sequence,
        error: Option<&BrokerError>,
    ) {
        self.producing.remove(producer);
        match error {
            // It began at or before what was refused.
            None => drop(self.refused.remove(producer)),
            Some(error) => {
                let earlier = |(refused, _): &(Sequence, BrokerError)| *refused <= first;
                if !self.refused.get(producer).is_some_and(earlier) {
                    self.refused.insert(producer.clone(), (first, error.clone()));
                }
            }
        }
    }
}

/// What a failed append means to who put.
pub(super) fn append_failed(error: AppendError) -> BrokerError {
    match error {
        AppendError::DiskFull { dir, .. } => BrokerError::NoSpace { dir },
        other => BrokerError::Stopped { cause: other.to_string() },
    }
}
