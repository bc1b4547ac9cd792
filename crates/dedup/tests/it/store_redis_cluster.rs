//! The Redis store on a cluster of three nodes.

use std::collections::BTreeMap;

use dedup::store::{Answer, BatchState, Store as _, StoreFault};
use redis::Value;

use super::redis_kit::{Cluster, LEASE_MS, Server, batch, have, joined, many};

const T: i64 = 1_760_000_000_000;

#[test]
fn keys_are_spread_over_the_nodes_and_found_again() {
    if !have("keys_are_spread_over_the_nodes_and_found_again") {
        return;
    }
    let cluster = Cluster::start(&[]);
    let (a, b) = (joined(cluster.options()), joined(cluster.options()));
    let keys = many(0..10_000, T);
    let answers = a.reserve(batch(1, 1), LEASE_MS, &keys).unwrap();
    assert!(answers.iter().all(|answer| *answer == Answer::Reserved));
    let answers = b.reserve(batch(2, 1), LEASE_MS, &keys).unwrap();
    assert!(answers.iter().all(|answer| matches!(answer, Answer::Busy { .. })));
    assert_eq!(a.commit(batch(1, 1)).unwrap(), BatchState::Committed);
    let answers = b.reserve(batch(2, 2), LEASE_MS, &keys).unwrap();
    assert!(answers.iter().all(|answer| matches!(answer, Answer::Duplicate { .. })));
    for node in &cluster.nodes {
        let size: u64 = redis::cmd("DBSIZE").query(&mut node.admin()).unwrap();
        assert!(size > 1_000, "a node has {size} names");
    }
    assert!(a.stats().unwrap().server.contains("3 servers"));
}

/// The slot of the shard with the most keys wanders from one node to another while it is used.
#[test]
fn a_slot_that_wanders_takes_its_keys_along() {
    if !have("a_slot_that_wanders_takes_its_keys_along") {
        return;
    }
    let cluster = Cluster::start(&[]);
    let mut options = cluster.options();
    options.call_timeout_ms = 400;
    let store = joined(options);
    let keys = many(0..4_000, T);
    let answers = store.reserve(batch(1, 1), LEASE_MS, &keys).unwrap();
    assert!(answers.iter().all(|answer| *answer == Answer::Reserved));
    store.commit(batch(1, 1)).unwrap();
    let head = "onceflow:{test/00}";
    let mut admins: Vec<_> = cluster.nodes.iter().map(Server::admin).collect();
    let slot: u16 = redis::cmd("CLUSTER").arg("KEYSLOT").arg(head).query(&mut admins[0]).unwrap();
    let from = [5_460, 10_922, 16_383].iter().position(|last| slot <= *last).unwrap();
    let to = (from + 1) % 3;
    let ids: Vec<String> = admins
        .iter_mut()
        .map(|admin| redis::cmd("CLUSTER").arg("MYID").query(admin).unwrap())
        .collect();
    let set = |admin: &mut redis::Connection, how: &str, id: &str| {
        let mut command = redis::cmd("CLUSTER");
        command.arg("SETSLOT").arg(slot).arg(how).arg(id).exec(admin).unwrap();
    };
    set(&mut admins[to], "IMPORTING", &ids[from]);
    set(&mut admins[from], "MIGRATING", &ids[to]);
    let shard: Vec<_> = keys.iter().filter(|key| key.key >> 122 == 0).copied().collect();
    assert!(shard.len() > 20);
    let mut fates: BTreeMap<&str, u32> = BTreeMap::new();
    let mut number = 1;
    loop {
        let mut command = redis::cmd("CLUSTER");
        let names: Vec<Vec<u8>> =
            command.arg("GETKEYSINSLOT").arg(slot).arg(5).query(&mut admins[from]).unwrap();
        number += 1;
        match store.reserve(batch(1, number), LEASE_MS, &shard) {
            Ok(answers) => {
                assert!(answers.iter().all(|answer| matches!(answer, Answer::Duplicate { .. })));
                *fates.entry("answered").or_default() += 1;
            }
            Err(error) => {
                assert_eq!(error.fault, StoreFault::Away, "{error}");
                *fates.entry("away").or_default() += 1;
            }
        }
        if names.is_empty() {
            break;
        }
        let mut migrate = redis::cmd("MIGRATE");
        migrate.arg("127.0.0.1").arg(cluster.nodes[to].port).arg("").arg(0).arg(5_000);
        migrate.arg("KEYS").arg(names);
        let moved: Value = migrate.query(&mut admins[from]).unwrap();
        assert!(matches!(moved, Value::Okay | Value::SimpleString(_)), "{moved:?}");
    }
    // Everything has wandered, and the slot has not: only asking there helps.
    number += 1;
    let answers = store.reserve(batch(1, number), LEASE_MS, &shard).unwrap();
    assert!(answers.iter().all(|answer| matches!(answer, Answer::Duplicate { .. })));
    for admin in [to, from] {
        set(&mut admins[admin], "NODE", &ids[to]);
    }
    number += 1;
    let answers = store.reserve(batch(1, number), LEASE_MS, &keys).unwrap();
    assert!(answers.iter().all(|answer| matches!(answer, Answer::Duplicate { .. })), "{fates:?}");
}
