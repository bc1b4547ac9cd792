//! A scope joins the store that its workers share.

use std::sync::Arc;

use super::core::Core;
use super::lock;
use super::{PipeDeclaration, ScopeDeclaration};
use crate::error::LedgerError;
use crate::record::{Record, SharedRecord};
use crate::scope::OnOtherBody;
use crate::state::{LedgerState, ScopeState};
use crate::store::{Joined, SharedScope, Store, StoreError, StoreFault};

impl Core {
    /// Joins the scope that a pipe declares to its store, if it names one. What the store has is
    /// checked against what this ledger remembers.
    pub(super) fn join(
        &self,
        declaration: &PipeDeclaration,
    ) -> Result<Option<(SharedScope, Joined)>, LedgerError> {
        let Some(wanted) = &declaration.scope else { return Ok(None) };
        let known = {
            let live = lock(&self.live);
            let joined = known(&live.state, wanted);
            joined.map(|scope| (scope.secret, scope.keys_committed, scope.shared.clone()))
        };
        let Some(shared) = &declaration.store else {
            return match known.and_then(|(.., shared)| shared) {
                None => Ok(None),
                Some(shared) => Err(refuse(
                    declaration,
                    format!(
                        "scope {} is shared through the store {}, and the config names none: \
                         without it nobody knows what other workers delivered. Put `dedup.store` \
                         back, or name a new `dedup.scope`, which remembers nothing of the old one",
                        wanted.name, shared.place
                    ),
                )),
            };
        };
        let place = shared.store.place();
        let options = &wanted.options;
        if options.refresh || options.on_other_body != OnOtherBody::Drop {
            let what = "`refresh`, and `on_other_body` other than `drop`, work with keys in the data \
                        folder only: take them out, or `dedup.store`";
            return Err(refuse(declaration, what.into()));
        }
        if let Some((_, keys @ 1.., None)) = known {
            return Err(refuse(
                declaration,
                format!(
                    "scope {} has {keys} keys in this data folder alone, and the store {place} \
                     knows none of them: copies that come to other workers would be delivered once \
                     more. Name a new `dedup.scope` for the store, or take the store away again; \
                     `onceflow dedup export` and `import` bring keys along",
                    wanted.name
                ),
            ));
        }
        let secret = match &known {
            Some((secret, ..)) => *secret,
            None => self.options.random.bytes(&format!("scope {}", wanted.name))?,
        };
        let scope = SharedScope {
            name: wanted.name.clone(),
            fields: wanted.fields,
            across_types: wanted.across_types,
            secret,
        };
        let joined = shared.store.join(&scope)?;
        if let Some((secret, _, Some(before))) = &known
            && *secret != joined.secret
        {
            return Err(refuse(
                declaration,
                format!(
                    "the store {place} has another secret for scope {} than this data folder, \
                     whose keys were made for {}: they belong to different sets of workers. Name \
                     the store that the scope was shared through, or take another data folder or a \
                     new `dedup.scope`",
                    wanted.name, before.place
                ),
            ));
        }
        Ok(Some((SharedScope { secret: joined.secret, ..scope }, joined)))
    }

    /// Remembers which store a scope is in, and says so when that lost its data.
    pub(super) fn note_joined(
        self: &Arc<Self>,
        scope: u16,
        store: &Arc<dyn Store>,
        joined: &Joined,
    ) -> Result<(), LedgerError> {
        let place = store.place();
        let known = {
            let live = lock(&self.live);
            let known = live.state.scopes.get(usize::from(scope));
            known.map(|known| (known.name.clone(), known.shared.clone()))
        };
        let Some((name, before)) = known else { return Ok(()) };
        let (secret, incarnation) = (joined.secret, joined.incarnation);
        if let Some(before) = &before {
            if (before.incarnation, &before.place) == (incarnation, &place) {
                return Ok(());
            }
            if before.incarnation != incarnation {
                tracing::warn!(
                    scope = name,
                    store = place,
                    before = before.place,
                    "the store lost what it knew of the scope: keys that this worker committed are \
                     still known here, those of other workers may come through once more"
                );
            }
        }
        self.append(Record::Shared(SharedRecord { scope, secret, place, incarnation }))
    }
}

/// The error for a store that has another secret than the keys in use are made with.
pub(super) fn other_secret(store: &Arc<dyn Store>, scope: &SharedScope) -> LedgerError {
    let what = format!(
        "scope {} was made anew there with another secret, so no key would be recognised. Stop all \
         workers of the scope and start them again",
        scope.name
    );
    StoreError::new(StoreFault::Refused, &store.place(), what).into()
}

fn known<'a>(state: &'a LedgerState, wanted: &ScopeDeclaration) -> Option<&'a ScopeState> {
    state.scopes.iter().find(|scope| scope.name == wanted.name)
}

fn refuse(declaration: &PipeDeclaration, what: String) -> LedgerError {
    LedgerError::Declaration { pipe: declaration.pipe.clone(), what }
}
