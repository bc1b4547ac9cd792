//! Asking for keys.
//!
//! Most keys are new, so each is first written on the condition that nothing is there. Where
//! something is, the refusal brings it along, and the batches that hold it are looked up, a hundred
//! at a time. What follows (`decide.rs`) is written on the condition that the key still is as it
//! was seen, else it is decided again from what is there then.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use super::call::Patience;
use super::core::Core;
use super::decide::{Decision, Holder, decide, holders};
use super::expiry::{Expiry, is_over};
use super::item::{Entry, Item, KeyItem, key_pk};
use super::known::Scope;
use super::parallel::side_by_side;
use super::requests::{Expected, Write};
use crate::store::{Answer, Asked, BatchRef, BatchState, StoreError, StoreFault};

/// Entries of one key at most: past that its item nears the 400 KiB that DynamoDB takes.
pub(super) const ENTRIES_MAX: usize = 4_096;
/// A key that others write again and again is decided again so often.
const ROUNDS_MAX: u32 = 500;

/// The events that ask for one key.
#[derive(Clone, Debug)]
struct Group {
    pk: Vec<u8>,
    /// With their places in the call.
    asked: Vec<(usize, Asked)>,
}

/// A key's item at one moment.
#[derive(Debug)]
struct Look {
    item: Option<KeyItem>,
    /// The request that brought it was sent at or after this.
    sent: Instant,
}

impl Look {
    fn entries(&self) -> &[Entry] {
        self.item.as_ref().map_or(&[], |item| &item.entries)
    }
}

impl Group {
    fn questions(&self) -> impl Iterator<Item = Asked> + Clone + '_ {
        self.asked.iter().map(|(_, asked)| *asked)
    }

    fn answer(&self, decision: &Decision, answers: &mut [Answer]) {
        for ((place, _), answer) in self.asked.iter().zip(&decision.answers) {
            if let Some(slot) = answers.get_mut(*place) {
                *slot = *answer;
            }
        }
    }
}

impl Core {
    /// See [`crate::store::Store::reserve`].
    pub(super) async fn reserve(
        self: &Arc<Self>,
        batch: BatchRef,
        lease_ms: u64,
        asked: &[Asked],
    ) -> Result<Vec<Answer>, StoreError> {
        let scope = self.scope()?;
        let patience = Arc::new(self.calls.patience());
        let expiry = Expiry::of_record(asked, self.calls.time.now_ms(), self.margin_ms);
        let was_opened = self.known().opened(&batch).is_some();
        let opened = self.open_record(&patience, &scope, batch, lease_ms, expiry).await;
        if let Err(error) = opened {
            if error.fault == StoreFault::NotOpen {
                self.check_scope(&patience, &scope).await?;
            }
            return Err(error);
        }
        let keys = self.reserve_keys(&patience, &scope, batch, asked);
        let (checked, answers) = tokio::join!(self.check_scope(&patience, &scope), keys);
        if checked.as_ref().is_err_and(|error| error.fault == StoreFault::Lost) && !was_opened {
            // Nothing was ever promised to it, so it may ask again after the next join.
            self.known().close(&batch);
        }
        checked?;
        answers
    }

    async fn reserve_keys(
        self: &Arc<Self>,
        patience: &Arc<Patience>,
        scope: &Scope,
        batch: BatchRef,
        asked: &[Asked],
    ) -> Result<Vec<Answer>, StoreError> {
        let mut answers = vec![Answer::Reserved; asked.len()];
        // Nobody has looked yet; that nothing is there is the first guess, and the write checks it.
        let unseen = |group| (group, Look { item: None, sent: Instant::now() });
        let mut open: Vec<(Group, Look)> = groups(scope, asked).into_iter().map(unseen).collect();
        for _ in 0..ROUNDS_MAX {
            if open.is_empty() {
                return Ok(answers);
            }
            let learned = self.learn(patience, scope, batch, &open).await?;
            let (mut to_write, mut to_look_at) = (Vec::new(), Vec::new());
            for (group, look) in open {
                let holder = |by: &BatchRef| self.holder_at(by, look.sent, &learned);
                let decision = decide(batch, look.entries(), group.questions(), holder);
                if decision.must_write {
                    to_write.push((group, look, decision));
                } else if decision.must_look_again {
                    to_look_at.push(group);
                } else {
                    group.answer(&decision, &mut answers);
                }
            }
            open = self.look_again(patience, to_look_at).await?;
            open.extend(self.write_all(patience, to_write, &mut answers).await?);
        }
        let what = "other workers write the same keys all the time";
        Err(self.calls.error(StoreFault::Away, what))
    }

    /// Finds out about the batches that hold what is asked for, unless their end is known.
    async fn learn(
        self: &Arc<Self>,
        patience: &Arc<Patience>,
        scope: &Scope,
        batch: BatchRef,
        open: &[(Group, Look)],
    ) -> Result<HashMap<BatchRef, Holder>, StoreError> {
        let unknown: HashSet<BatchRef> = {
            let known = self.known();
            open.iter()
                .flat_map(|(group, look)| holders(batch, look.entries(), group.questions()))
                .filter(|by| known.end_of(by).is_none())
                .collect()
        };
        if unknown.is_empty() {
            return Ok(HashMap::new());
        }
        self.resolve(patience, scope, unknown.into_iter().collect()).await
    }

    /// What is known of a batch, in view of a look that was sent at that moment.
    fn holder_at(
        &self,
        batch: &BatchRef,
        sent: Instant,
        learned: &HashMap<BatchRef, Holder>,
    ) -> Holder {
        match self.known().end_of(batch) {
            Some((BatchState::Committed, since)) if since <= sent => Holder::Committed,
            Some((BatchState::Committed, _)) => Holder::CommittedSince,
            Some(_) => Holder::Free,
            None => learned.get(batch).copied().unwrap_or(Holder::Unknown),
        }
    }

    async fn look_again(
        self: &Arc<Self>,
        patience: &Arc<Patience>,
        groups: Vec<Group>,
    ) -> Result<Vec<(Group, Look)>, StoreError> {
        if groups.is_empty() {
            return Ok(Vec::new());
        }
        let sent = Instant::now();
        let pks = groups.iter().map(|group| group.pk.clone()).collect();
        let items = self.calls.get_many(patience, pks).await?;
        let look = |group: Group| {
            let item = self.read_key(items.get(&group.pk))?;
            Ok((group, Look { item, sent }))
        };
        groups.into_iter().map(look).collect()
    }

    /// Writes what was decided; comes back with those whose key was no longer as it was seen.
    async fn write_all(
        self: &Arc<Self>,
        patience: &Arc<Patience>,
        decided: Vec<(Group, Look, Decision)>,
        answers: &mut [Answer],
    ) -> Result<Vec<(Group, Look)>, StoreError> {
        let (core, patience) = (Arc::clone(self), Arc::clone(patience));
        let run = move |(group, look, decision): (Group, Look, Decision)| {
            let (core, patience) = (Arc::clone(&core), Arc::clone(&patience));
            async move {
                let was = core.write(&patience, &group, &look, &decision).await?;
                Ok((group, decision, was))
            }
        };
        let written = side_by_side(&self.calls.place, self.requests_max, decided, run).await?;
        let mut open = Vec::new();
        for (group, decision, was) in written {
            match was {
                None => group.answer(&decision, answers),
                Some(look) => open.push((group, look)),
            }
        }
        Ok(open)
    }

    /// Writes one key; what was there, if it wasn't what was seen.
    async fn write(
        &self,
        patience: &Patience,
        group: &Group,
        look: &Look,
        decision: &Decision,
    ) -> Result<Option<Look>, StoreError> {
        let now_ms = self.calls.time.now_ms();
        let newest = group.questions().map(|asked| asked.recorded_ms).max().unwrap_or(i64::MIN);
        let over = |entry: &&Entry| {
            !is_over((entry.recorded_ms, entry.window_ms), newest, now_ms, self.margin_ms)
        };
        let entries: Vec<Entry> = decision.entries.iter().filter(over).copied().collect();
        if entries.len() > ENTRIES_MAX {
            let what = format!(
                "one key has more than {ENTRIES_MAX} entries: its events come again and again, \
                 each just after the window of the last. A longer window, or a shorter margin, \
                 makes them fewer"
            );
            return Err(self.calls.error(StoreFault::Full, what));
        }
        let expiry = group
            .questions()
            .map(|asked| {
                Expiry::of_entry(asked.recorded_ms, asked.window_ms, now_ms, self.margin_ms)
            })
            .chain(look.item.as_ref().map(|item| item.expiry))
            .max()
            .unwrap_or(Expiry::Never);
        let seen = look.item.as_ref().map(|item| item.nonce);
        self.write_key(patience, &group.pk, entries, expiry, seen).await
    }

    /// Writes a key's item over the one with this nonce, or where none is; what was there, if it
    /// was another.
    async fn write_key(
        &self,
        patience: &Patience,
        pk: &[u8],
        entries: Vec<Entry>,
        expiry: Expiry,
        seen: Option<[u8; 8]>,
    ) -> Result<Option<Look>, StoreError> {
        let nonce = self.calls.nonce()?;
        let item = KeyItem { nonce, entries, expiry };
        let expected = seen.map_or(Expected::Nothing, Expected::Nonce);
        let sent = Instant::now();
        match self.calls.put(patience, item.write(pk), expected).await? {
            Write::Done => Ok(None),
            Write::Was(was) => match self.read_key(was.as_ref())? {
                // An earlier try took effect, and only its answer was lost.
                Some(was) if was.nonce == nonce => Ok(None),
                item => Ok(Some(Look { item, sent })),
            },
        }
    }

    fn read_key(&self, item: Option<&Item>) -> Result<Option<KeyItem>, StoreError> {
        let Some(item) = item else { return Ok(None) };
        KeyItem::read(item).map(Some).ok_or_else(|| self.calls.unreadable("key"))
    }

    /// See [`crate::store::Store::release`].
    ///
    /// A key that is let go of is always written, even where the batch isn't found in it: a write
    /// of this batch that is still under way, because its answer never came, then finds another
    /// nonce, or an item where it expects none, and can't put the key back under the batch.
    pub(super) async fn release(
        self: &Arc<Self>,
        batch: BatchRef,
        keys: &[Asked],
    ) -> Result<(), StoreError> {
        let scope = self.scope()?;
        let patience = Arc::new(self.calls.patience());
        if self.state_of(&patience, &scope, batch).await? == BatchState::Committed {
            return Ok(());
        }
        let (core, for_each) = (Arc::clone(self), Arc::clone(&patience));
        let run = move |(group, look): (Group, Look)| {
            let (core, patience) = (Arc::clone(&core), Arc::clone(&for_each));
            async move { core.release_one(&patience, batch, group, look).await }
        };
        let looks = self.look_again(&patience, groups(&scope, keys)).await?;
        side_by_side(&self.calls.place, self.requests_max, looks, run).await?;
        Ok(())
    }

    async fn release_one(
        &self,
        patience: &Patience,
        batch: BatchRef,
        group: Group,
        mut look: Look,
    ) -> Result<(), StoreError> {
        let is_let_go = |entry: &Entry| {
            entry.held_by == Some(batch)
                && group.questions().any(|asked| {
                    asked.recorded_ms == entry.recorded_ms && asked.window_ms == entry.window_ms
                })
        };
        for _ in 0..ROUNDS_MAX {
            let entries =
                look.entries().iter().filter(|entry| !is_let_go(entry)).copied().collect();
            let rest = Expiry::of_rest(self.calls.time.now_ms(), self.margin_ms);
            let expiry = look.item.as_ref().map_or(rest, |item| item.expiry.max(rest));
            let seen = look.item.as_ref().map(|item| item.nonce);
            match self.write_key(patience, &group.pk, entries, expiry, seen).await? {
                None => return Ok(()),
                Some(now) => look = now,
            }
        }
        Err(self.calls.error(StoreFault::Away, "other workers write the same key all the time"))
    }
}

/// The questions by key, each key's in their order.
fn groups(scope: &Scope, asked: &[Asked]) -> Vec<Group> {
    let mut by_key: HashMap<u128, usize> = HashMap::with_capacity(asked.len());
    let mut groups: Vec<Group> = Vec::with_capacity(asked.len());
    for (place, one) in asked.iter().enumerate() {
        let next = groups.len();
        let at = *by_key.entry(one.key).or_insert(next);
        match groups.get_mut(at) {
            Some(group) => group.asked.push((place, *one)),
            None => {
                let pk = key_pk(scope.incarnation, one.key);
                groups.push(Group { pk, asked: vec![(place, *one)] });
            }
        }
    }
    groups
}
