//! The steps of one pipe, recovered and ready to run.

use std::sync::Arc;

use dedup::ledger::PipeLedger;
use event::source::Stop;
use event::{Batch, Clock, Death, Event, Fate};

use super::commit::Commit;
use super::courier::Courier;
use super::decide::Decide;
use super::leaving::Leaving;
use super::outlet::{Outlet, OutletKind, Takes};
use super::read::Read;
use super::stage::Stage;
use super::staging::StagedOutlet;
use super::{Parts, PipeError, Totals};
use crate::prepare::Preparer;
use crate::status::DeliveryStatus;
use crate::unsettled::{Prepared, Unsettled, to_prepare};

/// The steps of one pipe, recovered and ready.
pub(super) struct Steps {
    pub(super) read: Read,
    pub(super) preparer: Preparer,
    pub(super) decide: Decide,
    pub(super) stage: Stage,
    pub(super) commit: Commit,
}

impl Steps {
    /// Recovers every sink, records what it declares, takes up parked events, and puts the steps
    /// together. What waits ends when `halt` is asked.
    pub(super) fn new(mut parts: Parts, halt: &Stop) -> Result<Self, PipeError> {
        let mut publishers = Vec::new();
        for outlet in &mut parts.outlets {
            open(outlet, &parts.ledger)?;
            publishers.push((outlet.name.clone(), outlet.publisher()));
        }
        let routed = parts.outlets.iter().filter(|o| matches!(o.takes, Takes::Routed(_)));
        // A pipe that starts again goes on counting.
        let known = parts.status.delivery().cloned();
        let names = routed.map(|outlet| outlet.name.as_str());
        let status = known.unwrap_or_else(|| Arc::new(DeliveryStatus::new(names)));
        parts.status.delivers(Arc::clone(&status));
        let acker = parts.source.acker();
        let settled = parts.ledger.source_state();
        let unsettled = Arc::new(Unsettled::new(parts.unsettled));
        let mut preparer = Preparer::new(Arc::clone(&parts.plan), halt.clone());
        take_up_parked(&parts, &unsettled, &mut preparer);
        let leaving = Leaving::new(
            Arc::clone(&parts.ledger),
            Arc::clone(&unsettled),
            Arc::clone(&parts.clock),
        );
        let (couriers, outlets) = ends(parts.outlets, &parts.letters, &parts.clock, &status, halt);
        Ok(Self {
            read: Read::new(parts.source, settled, parts.batch, parts.outbox.clone()),
            preparer,
            decide: Decide::new(
                Arc::clone(&parts.ledger),
                parts.batch,
                Arc::clone(&unsettled),
                Arc::clone(&parts.clock),
            ),
            stage: Stage {
                pipe: Arc::clone(&parts.name),
                ledger_id: parts.ledger_id,
                ledger: Arc::clone(&parts.ledger),
                couriers,
                outlets,
                leaving,
                unsettled: Arc::clone(&unsettled),
                order: parts.order,
                types: Arc::clone(&parts.plan.types),
                dead_letters_max: parts.dead_letters_max,
                clock: parts.clock,
                status,
                side_by_side: false,
                rows: Vec::new(),
            },
            commit: Commit {
                name: parts.name,
                ledger: parts.ledger,
                unsettled,
                publishers,
                acker,
                plan: parts.plan,
                taps: parts.taps,
                outbox: parts.outbox,
                totals: Totals::default(),
                planted: parts.planted,
                records_planted: 0,
            },
        })
    }
}

/// Recovers a sink, and records what it declares.
fn open(outlet: &mut Outlet, ledger: &PipeLedger) -> Result<(), PipeError> {
    let OutletKind::Staged(sink) = &mut outlet.kind else { return Ok(()) };
    let name = outlet.name.clone();
    let state = ledger.sink_state(&name);
    let declared =
        sink.open(&state).map_err(|error| PipeError::Sink { sink: name.clone(), error })?;
    if let Some((last, _)) = state.unpublished.last() {
        ledger.published(&name, *last);
    }
    if !declared.is_empty() {
        ledger.record_opened(&name, declared)?;
    }
    Ok(())
}

/// Events that an earlier run parked go on, prepared anew: with the key and the times that they
/// had.
fn take_up_parked(parts: &Parts, unsettled: &Unsettled, preparer: &mut Preparer) {
    let now_ms = parts.clock.now_ms();
    let sink_of = |name: &str| {
        let place = parts.outlets.iter().position(|outlet| outlet.name == name)?;
        u8::try_from(place).ok()
    };
    for parked in parts.ledger.restore_parked() {
        let mut batch = to_prepare(&parked);
        if !preparer.prepare(&mut batch) {
            return;
        }
        let Some(event) = batch.events.first().copied() else { continue };
        let rewritten = event.rewritten.map(|span| span.of(&batch.rewritten).into());
        let death = no_longer_wanted(&batch, &event);
        let lane = parts.order.lane(&batch, 0, &event);
        let seen = Prepared { event, rewritten, death, lane };
        unsettled.unpark(parked, seen, now_ms, sink_of);
    }
}

/// An event that was fine when it was parked, and isn't under the config of now, dies.
fn no_longer_wanted(batch: &Batch, event: &Event) -> Option<Death> {
    let (class, message) = match event.fate {
        Fate::Undecided => return None,
        Fate::Rejected(_) => {
            let rejection = batch.rejection(event)?;
            (rejection.reason.to_owned(), rejection.detail.clone())
        }
        Fate::Dead(_) => return batch.death(event).cloned(),
        _ => ("filtered".into(), "the config has changed: nothing takes it any more".into()),
    };
    Some(Death { stage: "prepare", class, message, deterministic: true, ..Death::default() })
}

/// The outlets, by how they take events.
fn ends(
    all: Vec<Outlet>,
    letters: &[u8],
    clock: &Arc<dyn Clock>,
    status: &Arc<DeliveryStatus>,
    halt: &Stop,
) -> (Vec<Courier>, Vec<StagedOutlet>) {
    let (mut couriers, mut outlets) = (Vec::new(), Vec::new());
    for (index, Outlet { takes, kind, .. }) in all.into_iter().enumerate() {
        let letters = letters.get(index).copied().unwrap_or(0);
        match kind {
            OutletKind::Staged(sink) => {
                outlets.push(StagedOutlet { index, takes, letters, sink });
            }
            OutletKind::Delivers(deliverer, policy) => {
                let number = u8::try_from(index).unwrap_or(u8::MAX);
                let (clock, status) = (Arc::clone(clock), Arc::clone(status));
                let halt = halt.clone();
                couriers
                    .push(Courier::new(number, deliverer, policy, letters, clock, status, halt));
            }
        }
    }
    (couriers, outlets)
}
