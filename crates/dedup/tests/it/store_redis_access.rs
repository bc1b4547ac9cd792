//! Which servers the Redis store takes, and whom they let in.

use dedup::store::redis::{RedisOptions, RedisStore};
use dedup::store::{Answer, Store as _, StoreError, StoreFault};

use super::redis_kit::{Cluster, LEASE_MS, Server, batch, have, joined, many, scope};

const T: i64 = 1_760_000_000_000;

fn refused(options: RedisOptions) -> StoreError {
    let error = RedisStore::connect(options).unwrap_err();
    assert_eq!(error.fault, StoreFault::Refused, "{error}");
    error
}

fn set(server: &Server, name: &str, value: &str) {
    redis::cmd("CONFIG").arg("SET").arg(name).arg(value).exec(&mut server.admin()).unwrap();
}

#[test]
fn a_server_that_may_evict_keys_is_refused_by_name() {
    if !have("a_server_that_may_evict_keys_is_refused_by_name") {
        return;
    }
    let server = Server::start(&[]);
    for policy in ["allkeys-lru", "volatile-ttl", "volatile-lru"] {
        set(&server, "maxmemory-policy", policy);
        let error = refused(server.options());
        assert!(error.to_string().contains(policy), "{error}");
        assert!(error.to_string().contains("noeviction"), "{error}");
    }
    set(&server, "maxmemory-policy", "noeviction");
    RedisStore::connect(server.options()).unwrap();
}

#[test]
fn a_cluster_and_a_single_server_are_not_taken_for_each_other() {
    if !have("a_cluster_and_a_single_server_are_not_taken_for_each_other") {
        return;
    }
    let server = Server::start(&[]);
    let url = format!("redis-cluster://127.0.0.1:{}", server.port);
    let error = refused(RedisOptions::parse(&url).unwrap());
    assert!(error.to_string().contains("redis://"), "{error}");
    let cluster = Cluster::start(&[]);
    let error = refused(cluster.nodes[0].options());
    assert!(error.to_string().contains("redis-cluster://"), "{error}");
}

#[test]
fn a_replica_and_a_server_that_is_not_there_are_away() {
    if !have("a_replica_and_a_server_that_is_not_there_are_away") {
        return;
    }
    let primary = Server::start(&[]);
    let replica = Server::start(&[]);
    let mut command = redis::cmd("REPLICAOF");
    command.arg("127.0.0.1").arg(primary.port).exec(&mut replica.admin()).unwrap();
    let error = RedisStore::connect(replica.options()).unwrap_err();
    assert_eq!(error.fault, StoreFault::Away, "{error}");
    assert!(error.to_string().contains("replica"), "{error}");
    // One that becomes a replica while it is used.
    let store = primary.store();
    let mut command = redis::cmd("REPLICAOF");
    command.arg("127.0.0.1").arg(1).exec(&mut primary.admin()).unwrap();
    let error = store.reserve(batch(1, 1), LEASE_MS, &many(0..10, T)).unwrap_err();
    assert_eq!(error.fault, StoreFault::Away, "{error}");
    let options = primary.options();
    drop(primary);
    let error = RedisStore::connect(options).unwrap_err();
    assert_eq!(error.fault, StoreFault::Away, "{error}");
}

/// The line of docs/formats/redis.md is all that a user needs.
#[test]
fn an_acl_user_with_the_documented_rights_suffices() {
    if !have("an_acl_user_with_the_documented_rights_suffices") {
        return;
    }
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/formats/redis.md");
    let page = std::fs::read_to_string(page).unwrap();
    let line = page.lines().find(|line| line.trim().starts_with("ACL SETUSER")).unwrap();
    let line = line.trim().replace("PASSWORD", "geheim");
    let server = Server::start(&[]);
    let mut words = line.split_ascii_whitespace();
    let mut command = redis::cmd(words.next().unwrap());
    command.arg(words.collect::<Vec<_>>()).exec(&mut server.admin()).unwrap();
    redis::cmd("ACL")
        .arg(&["SETUSER", "default", "resetpass", ">other"])
        .exec(&mut server.admin())
        .unwrap();
    let url = |login: &str| format!("redis://{login}127.0.0.1:{}/0", server.port);
    let login = line.split_ascii_whitespace().nth(2).unwrap();
    let options = RedisOptions::parse(&url(&format!("{login}:geheim@"))).unwrap();
    let store = joined(options);
    let keys = many(0..3_000, T);
    store.reserve(batch(1, 1), LEASE_MS, &keys).unwrap();
    store.renew(&[batch(1, 1)], LEASE_MS).unwrap();
    store.release(batch(1, 1), &keys[..500]).unwrap();
    store.commit(batch(1, 1)).unwrap();
    store.settle(batch(1, 1), &keys).unwrap();
    store.reserve(batch(1, 2), LEASE_MS, &keys).unwrap();
    store.abort(batch(1, 2)).unwrap();
    store.state(batch(1, 2)).unwrap();
    store.stats().unwrap();
    // A connection that breaks is fenced, which needs a right of its own.
    let mut admin = redis::Client::open(url(":other@")).unwrap().get_connection().unwrap();
    redis::cmd("CLIENT").arg(&["KILL", "USER", login]).exec(&mut admin).unwrap();
    let answers = store.reserve(batch(1, 3), LEASE_MS, &keys[500..]).unwrap();
    assert!(answers.iter().all(|answer| matches!(answer, Answer::Duplicate { .. })));
    for (who, word) in [("", "NOAUTH"), (":wrong@", "WRONGPASS"), ("nobody:x@", "WRONGPASS")] {
        let error = refused(RedisOptions::parse(&url(who)).unwrap());
        let said = error.to_string();
        assert!(said.contains(word) || said.contains("assword"), "{who}: {said}");
        assert!(!said.contains("wrong@"), "{said}");
    }
    // A user without the rights is told which one is missing.
    let mut command = redis::cmd("ACL");
    command.arg(&["SETUSER", "poor", "on", ">p", "~*", "+info", "+client"]);
    command.exec(&mut admin).unwrap();
    let store = RedisStore::connect(RedisOptions::parse(&url("poor:p@")).unwrap()).unwrap();
    let error = store.join(&scope()).unwrap_err();
    assert_eq!(error.fault, StoreFault::Refused, "{error}");
    assert!(error.to_string().contains("evalsha"), "{error}");
}

#[test]
fn tls_takes_the_named_authority_and_no_other() {
    if !have("tls_takes_the_named_authority_and_no_other") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    write(&at("cert.pem"), &made.cert.pem());
    write(&at("key.pem"), &made.signing_key.serialize_pem());
    write(&at("other.pem"), &other.cert.pem());
    let (cert, key) = (at("cert.pem"), at("key.pem"));
    let (cert_file, key_file) = (cert.to_str().unwrap(), key.to_str().unwrap());
    let arguments =
        ["--tls-port", "PORT", "--tls-cert-file", cert_file, "--tls-key-file", key_file];
    let arguments = [&arguments[..], &["--tls-auth-clients", "no"]].concat();
    let server = Server::start(&arguments);
    let mut options =
        RedisOptions::parse(&format!("rediss://127.0.0.1:{}/0", server.port)).unwrap();
    let error = refused(options.clone());
    assert!(error.to_string().contains("ca_file"), "{error}");
    options.ca_file = Some(at("other.pem"));
    let error = refused(options.clone());
    assert!(error.to_string().contains("certificate"), "{error}");
    options.ca_file = Some(at("gone.pem"));
    assert!(refused(options.clone()).to_string().contains("gone.pem"));
    options.ca_file = Some(cert);
    let store = joined(options);
    let keys = many(0..20_000, T);
    let answers = store.reserve(batch(1, 1), LEASE_MS, &keys).unwrap();
    assert!(answers.iter().all(|answer| *answer == Answer::Reserved));
    store.commit(batch(1, 1)).unwrap();
}

#[allow(clippy::disallowed_methods, reason = "not the program's data")]
fn write(path: &std::path::Path, text: &str) {
    std::fs::write(path, text).unwrap();
}
