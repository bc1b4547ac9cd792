//! What every shared store must do: one suite for all of them, against the interface alone.
//!
//! To run it for a store, implement [`StoreWorld`] and name a function that makes a world of its
//! own for each test, or `None` where the server isn't there (after saying so on stderr):
//!
//! ```ignore
//! struct MyWorld { … }
//! impl StoreWorld for MyWorld { … }
//! fn world() -> Option<MyWorld> { … }
//! crate::store_suite::store_suite!(world);
//! ```
//!
//! This makes one `#[test]` of each property below. A world may share its server with others that
//! never call `lose_everything`: every property uses scopes of its own.

pub(crate) mod batches;
pub(crate) mod kit;
pub(crate) mod leases;
pub(crate) mod loss;
pub(crate) mod many;
pub(crate) mod races;
pub(crate) mod windows;

use std::sync::Arc;

use dedup::store::Store;

/// A store of one kind, as the suite needs it.
pub(crate) trait StoreWorld: Sync {
    /// A new client, which has joined nothing yet.
    fn store(&self) -> Arc<dyn Store>;

    /// Lets so much of the store's time pass that a lease of `ms` is over afterwards, or at least
    /// soon: what waits for the end of a lease asks again until it is over. A clock that is given is
    /// moved; with a real server this may do nothing at all.
    fn pass_time(&self, ms: u64);

    /// A lease that is long enough for a few calls, and short enough to wait for; ms.
    fn short_lease_ms(&self) -> u64;

    /// Whether clients of other tests see this world's data: then it is never lost.
    fn is_shared(&self) -> bool {
        false
    }

    /// The store forgets all that it has.
    fn lose_everything(&self);

    /// How often a race is run, and how many keys a large call has.
    fn effort(&self) -> Effort {
        Effort { races: 200, large_call_keys: 10_000, operations: 300 }
    }
}

/// How much is done in properties that take longer the more they do.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) races: usize,
    pub(crate) large_call_keys: u64,
    pub(crate) operations: usize,
}

/// One test for each property.
macro_rules! store_suite {
    ($world:path) => {
        $crate::store_suite::store_suite!($world;
            batches: a_key_is_a_duplicate_only_after_its_commit
                a_key_is_busy_while_its_batch_is_open
                a_released_key_is_free
                the_same_batch_asks_again
                an_abort_frees_its_keys
                an_absent_batch_counts_as_aborted
                a_resolved_batch_asks_for_nothing_more
                a_settled_batch_leaves_duplicates
                a_release_after_settle_changes_nothing
                every_call_made_twice_changes_nothing
                a_batch_that_never_asked_commits_nothing;
            windows: a_window_reaches_in_either_direction
                the_window_of_the_entry_counts
                forever_reaches_everything
                several_entries_of_one_key
                a_duplicate_says_what_it_is_a_duplicate_of;
            leases: an_expired_lease_is_taken_over_and_the_old_batch_is_aborted
                a_renewed_lease_is_kept
                a_commit_after_the_lease_counts
                renew_answers_with_states;
            loss: joining_twice_gives_the_same_scope
                two_scopes_dont_see_each_other
                another_definition_is_refused
                a_store_that_lost_everything_says_so;
            many: a_large_call_with_repeats
                a_call_with_no_keys
                random_workers_never_hold_a_key_twice;
            races: exactly_one_of_commit_and_abort_wins
                two_workers_that_ask_at_once_get_a_key_once
                a_take_over_and_a_commit_agree
        );
    };
    ($world:path; $($module:ident: $($property:ident)+);+) => {
        $($(
            #[test]
            fn $property() {
                if let Some(world) = $world() {
                    $crate::store_suite::$module::$property(&world);
                }
            }
        )+)+
    };
}
pub(crate) use store_suite;
