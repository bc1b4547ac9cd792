//! Batch records: `open → committed | aborted`, each change a conditional write.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::call::Patience;
use super::core::Core;
use super::decide::Holder;
use super::expiry::Expiry;
use super::item::{
    BatchItem, EXPIRES, Item, LEASE, PK, RENEWAL, STATE, batch_pk, binary, number, state_name, text,
};
use super::known::{Opened, Scope};
use super::lease::Renewal;
use super::parallel::side_by_side;
use super::requests::{Change, Write};
use crate::store::{BatchRef, BatchState, StoreError, StoreFault};

/// Names that DynamoDB reserves.
fn names() -> HashMap<String, String> {
    HashMap::from([("#state".to_owned(), STATE.to_owned())])
}

fn open() -> (String, aws_sdk_dynamodb::types::AttributeValue) {
    (":open".to_owned(), text(state_name(BatchState::Open)))
}

impl Core {
    fn read_record(&self, item: &Item) -> Result<BatchItem, StoreError> {
        BatchItem::read(item).ok_or_else(|| self.calls.unreadable("batch"))
    }

    /// Opens the batch's record, or prolongs its lease if it is open. It must be there before the
    /// first key names it: a key of a batch without a record is free.
    pub(super) async fn open_record(
        &self,
        patience: &Patience,
        scope: &Scope,
        batch: BatchRef,
        lease_ms: u64,
        expiry: Expiry,
    ) -> Result<(), StoreError> {
        let opened = self.known().opened(&batch);
        let not_open = |what: &str| {
            let what = format!("batch {} {what}", batch.number);
            Err(self.calls.error(StoreFault::NotOpen, what))
        };
        if opened.is_some_and(|opened| opened.incarnation != scope.incarnation) {
            return not_open("was opened before the store lost its data");
        }
        // A repeated call keeps the later time.
        let expiry = opened.map_or(expiry, |opened| opened.expiry.max(expiry));
        let mut values = HashMap::from([
            open(),
            (":renewal".to_owned(), binary(&self.calls.nonce()?)),
            (":lease".to_owned(), number(lease_ms)),
        ]);
        let mut update = format!("SET #state = :open, {RENEWAL} = :renewal, {LEASE} = :lease");
        match expiry {
            Expiry::At(s) => {
                update += &format!(", {EXPIRES} = :expires");
                values.insert(":expires".to_owned(), number(s));
            }
            Expiry::Never => update += &format!(" REMOVE {EXPIRES}"),
        }
        // One that was opened before and isn't there any more must not come back: others took its
        // keys for free.
        let condition = match opened {
            None => format!("attribute_not_exists({PK}) OR #state = :open"),
            Some(_) => "#state = :open".to_owned(),
        };
        let change = Change { update, condition, values, names: names() };
        let pk = batch_pk(scope.incarnation, &batch);
        match self.calls.update(patience, &pk, &change).await? {
            Write::Done => {
                let opened = Opened { incarnation: scope.incarnation, expiry };
                self.known().open(batch, opened);
                Ok(())
            }
            Write::Was(Some(item)) => {
                let state = self.read_record(&item)?.state;
                self.known().learned(batch, state);
                not_open(&format!("is {}", state_name(state)))
            }
            Write::Was(None) => not_open("has no record any more"),
        }
    }

    /// Another renewal for an open batch; its state.
    pub(super) async fn renew_record(
        &self,
        patience: &Patience,
        scope: &Scope,
        batch: BatchRef,
        lease_ms: u64,
    ) -> Result<BatchState, StoreError> {
        let change = Change {
            update: format!("SET {RENEWAL} = :renewal, {LEASE} = :lease"),
            condition: "#state = :open".to_owned(),
            values: HashMap::from([
                open(),
                (":renewal".to_owned(), binary(&self.calls.nonce()?)),
                (":lease".to_owned(), number(lease_ms)),
            ]),
            names: names(),
        };
        let pk = batch_pk(scope.incarnation, &batch);
        let found = self.calls.update(patience, &pk, &change).await?;
        self.state_after(batch, found, BatchState::Open)
    }

    /// Open → `to`, if it is open and, where given, still has the renewal that was seen; its state
    /// afterwards. Made again after a lost answer it says the same.
    pub(super) async fn end_record(
        &self,
        patience: &Patience,
        scope: &Scope,
        batch: BatchRef,
        to: BatchState,
        seen: Option<Renewal>,
    ) -> Result<BatchState, StoreError> {
        let mut change = Change {
            update: "SET #state = :to".to_owned(),
            condition: "#state = :open".to_owned(),
            values: HashMap::from([open(), (":to".to_owned(), text(state_name(to)))]),
            names: names(),
        };
        if let Some(renewal) = seen {
            change.condition += &format!(" AND {RENEWAL} = :seen");
            change.values.insert(":seen".to_owned(), binary(&renewal));
        }
        // The record of an aborted batch is there for its owner to hear of it, and for requests of
        // it that are still under way; no key needs it.
        let rest = Expiry::of_rest(self.calls.time.now_ms(), self.margin_ms);
        if let (BatchState::Aborted, Expiry::At(s)) = (to, rest) {
            change.update += &format!(", {EXPIRES} = :expires");
            change.values.insert(":expires".to_owned(), number(s));
        }
        let pk = batch_pk(scope.incarnation, &batch);
        let found = self.calls.update(patience, &pk, &change).await?;
        self.state_after(batch, found, to)
    }

    fn state_after(
        &self,
        batch: BatchRef,
        found: Write,
        done: BatchState,
    ) -> Result<BatchState, StoreError> {
        let state = match found {
            Write::Done => done,
            Write::Was(None) => BatchState::Absent,
            Write::Was(Some(item)) => self.read_record(&item)?.state,
        };
        self.known().learned(batch, state);
        Ok(state)
    }

    /// The state of the batch's record.
    pub(super) async fn state_of(
        &self,
        patience: &Patience,
        scope: &Scope,
        batch: BatchRef,
    ) -> Result<BatchState, StoreError> {
        if let Some((state, _)) = self.known().end_of(&batch) {
            return Ok(state);
        }
        let item = self.calls.get(patience, &batch_pk(scope.incarnation, &batch)).await?;
        self.state_after(batch, Write::Was(item), BatchState::Absent)
    }

    /// What is to be known of batches that hold keys. One whose lease ran out is aborted first,
    /// if its record still is as it was seen.
    pub(super) async fn resolve(
        self: &Arc<Self>,
        patience: &Arc<Patience>,
        scope: &Scope,
        batches: Vec<BatchRef>,
    ) -> Result<HashMap<BatchRef, Holder>, StoreError> {
        let pks = batches.iter().map(|batch| batch_pk(scope.incarnation, batch)).collect();
        let records = self.calls.get_many(patience, pks).await?;
        let mut holders = HashMap::with_capacity(batches.len());
        let mut over = Vec::new();
        for batch in batches {
            let holder = match records.get(&batch_pk(scope.incarnation, &batch)) {
                None => Holder::Free,
                Some(item) => {
                    let record = self.read_record(item)?;
                    let holder = self.holder(batch, &record);
                    if holder == (Holder::Open { lease_left_ms: 0 }) {
                        over.push((batch, record.renewal));
                    }
                    holder
                }
            };
            holders.insert(batch, holder);
        }
        let (core, patience, scope) = (Arc::clone(self), Arc::clone(patience), scope.clone());
        let taken =
            side_by_side(&self.calls.place, self.requests_max, over, move |(batch, seen)| {
                let (core, patience, scope) =
                    (Arc::clone(&core), Arc::clone(&patience), scope.clone());
                async move { Ok((batch, core.take_over(&patience, &scope, batch, seen).await?)) }
            });
        holders.extend(taken.await?);
        Ok(holders)
    }

    async fn take_over(
        &self,
        patience: &Patience,
        scope: &Scope,
        batch: BatchRef,
        seen: Renewal,
    ) -> Result<Holder, StoreError> {
        let to = BatchState::Aborted;
        let state = self.end_record(patience, scope, batch, to, Some(seen)).await?;
        tracing::info!(
            worker = %batch.worker,
            batch = batch.number.0,
            state = state_name(state),
            "a batch of another worker, whose lease ran out"
        );
        Ok(match state {
            BatchState::Committed => Holder::CommittedSince,
            BatchState::Aborted | BatchState::Absent => Holder::Free,
            // It lives: it was renewed just now. The next look says for how long.
            BatchState::Open => Holder::Open { lease_left_ms: 1 },
        })
    }

    fn holder(&self, batch: BatchRef, record: &BatchItem) -> Holder {
        let mut known = self.known();
        known.learned(batch, record.state);
        match record.state {
            BatchState::Committed => Holder::CommittedSince,
            BatchState::Aborted | BatchState::Absent => Holder::Free,
            BatchState::Open => {
                let lease = Duration::from_millis(record.lease_ms);
                let left = known.leases.observe(batch, record.renewal, lease, Instant::now());
                // Rounded up: zero means that it is over.
                let lease_left_ms = u64::try_from(left.as_nanos().div_ceil(1_000_000));
                Holder::Open { lease_left_ms: lease_left_ms.unwrap_or(u64::MAX) }
            }
        }
    }
}
