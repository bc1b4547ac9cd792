//! The table of the store in DynamoDB: its shape, its format, its items, and TTL.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType,
    ScalarAttributeType,
};
use dedup::scope::FOREVER_MS;
use dedup::store::dynamodb::DynamoStore;
use dedup::store::{Answer, SharedScope, Store, StoreFault};

use crate::dynamodb_kit::{
    Database, LONG_MS, TABLE, ask, asks, batch, database, duplicate, joined, scope, settle, wait,
};

type Item = HashMap<String, AttributeValue>;

/// A table with this primary key, and no TTL.
fn make_table(database: &Database, pk: &str, of: ScalarAttributeType) {
    let attribute = AttributeDefinition::builder().attribute_name(pk).attribute_type(of);
    let key = KeySchemaElement::builder().attribute_name(pk).key_type(KeyType::Hash);
    let client = database.client();
    let request = client
        .create_table()
        .table_name(TABLE)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute.build().unwrap())
        .key_schema(key.build().unwrap());
    wait(request.send()).unwrap();
}

/// Items of one kind: `k` keys, `b` batches, `s` scopes.
fn items(database: &Database, kind: u8) -> Vec<Item> {
    let all = wait(database.client().scan().table_name(TABLE).send()).unwrap();
    let is = |item: &&Item| item["pk"].as_b().unwrap().as_ref()[0] == kind;
    all.items().iter().filter(is).cloned().collect()
}

fn expires_s(item: &Item) -> Option<i64> {
    item.get("expires_s").map(|value| value.as_n().unwrap().parse().unwrap())
}

/// Puts the item with other values for some attributes.
fn change(database: &Database, item: &Item, values: &[(&str, AttributeValue)]) {
    let mut item = item.clone();
    item.extend(values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    wait(database.client().put_item().table_name(TABLE).set_item(Some(item)).send()).unwrap();
}

#[test]
fn dynamodb_a_table_that_isnt_there_is_refused_unless_it_may_be_made() {
    let Some(database) = database("notable") else { return };
    let mut options = database.options();
    options.create_table = false;
    let store = DynamoStore::connect(options).unwrap();
    let error = store.join(&scope()).unwrap_err();
    assert_eq!(error.fault, StoreFault::Refused);
    assert!(error.to_string().contains("create_table: true"), "{error}");
    // Workers that start together make it once.
    let stores: Vec<_> =
        (0..4).map(|_| DynamoStore::connect(database.options()).unwrap()).collect();
    std::thread::scope(|threads| {
        let join = |store| threads.spawn(move || joined(store).incarnation);
        let threads: Vec<_> = stores.iter().map(join).collect();
        let all: Vec<u128> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(all.iter().all(|incarnation| *incarnation == all[0]), "{all:?}");
    });
    let ttl = wait(database.client().describe_time_to_live().table_name(TABLE).send()).unwrap();
    let ttl = ttl.time_to_live_description.unwrap();
    assert_eq!(ttl.attribute_name(), Some("expires_s"));
    assert!(store.stats().unwrap().server.contains("DynamoDB"));
}

#[test]
fn dynamodb_a_table_of_something_else_is_refused() {
    let kinds =
        [("shapeone", "id", ScalarAttributeType::B), ("shapetwo", "pk", ScalarAttributeType::S)];
    for (test, pk, of) in kinds {
        let Some(database) = database(test) else { return };
        make_table(&database, pk, of);
        let store = DynamoStore::connect(database.options()).unwrap();
        let error = store.join(&scope()).unwrap_err();
        assert_eq!(error.fault, StoreFault::Refused);
        assert!(error.to_string().contains("another program"), "{error}");
    }
}

#[test]
fn dynamodb_another_definition_or_format_is_refused_by_name() {
    let Some(database) = database("definition") else { return };
    let store = database.store();
    for other in
        [SharedScope { fields: 2, ..scope() }, SharedScope { across_types: true, ..scope() }]
    {
        let error = store.join(&other).unwrap_err();
        assert_eq!(error.fault, StoreFault::Refused);
        assert!(error.to_string().contains("scope `orders`"), "{error}");
    }
    let scope_item = items(&database, b's').remove(0);
    change(&database, &scope_item, &[("format", AttributeValue::N("2".into()))]);
    let error = store.join(&scope()).unwrap_err();
    assert_eq!(error.fault, StoreFault::Refused);
    assert!(error.to_string().contains("format 2"), "{error}");
    // A key in a format that this version doesn't know isn't taken for a free one.
    change(&database, &scope_item, &[]);
    joined(&store);
    settle(&store, batch(1, 1), &[ask(1, 1_000, 60_000)]);
    let key = items(&database, b'k').remove(0);
    change(&database, &key, &[("entries", AttributeValue::B([9, 9][..].into()))]);
    let error = store.reserve(batch(1, 2), LONG_MS, &[ask(1, 1_000, 60_000)]).unwrap_err();
    assert_eq!(error.fault, StoreFault::Refused);
    assert!(error.to_string().contains("format 1"), "{error}");
}

#[test]
fn dynamodb_wrong_credentials_are_refused_at_once() {
    let Some(database) = database("credentials") else { return };
    let mut options = database.options();
    // The server takes letters and digits only.
    options.credentials = Some(("wrong-key!".into(), "secret".into()));
    let store = DynamoStore::connect(options).unwrap();
    let error = store.join(&scope()).unwrap_err();
    assert_eq!(error.fault, StoreFault::Refused);
    assert!(error.to_string().contains("UnrecognizedClient"), "{error}");
}

#[test]
fn dynamodb_an_item_that_ttl_hasnt_deleted_yet_is_no_duplicate() {
    let Some(database) = database("notyet") else { return };
    // Without TTL nothing is ever deleted.
    make_table(&database, "pk", ScalarAttributeType::B);
    let mut options = database.options();
    options.create_table = false;
    let store = DynamoStore::connect(options).unwrap();
    joined(&store);
    let first = ask(1, 1_000_000, 60_000);
    settle(&store, batch(1, 1), &[first]);
    let long_ago = AttributeValue::N("1".into());
    for item in [items(&database, b'k'), items(&database, b'b')].concat() {
        change(&database, &item, &[("expires_s", long_ago.clone())]);
    }
    // There, and by its TTL long gone: only its window counts, both ways.
    let after = ask(1, 1_060_000, 60_000);
    assert_eq!(store.reserve(batch(1, 2), LONG_MS, &[after]).unwrap(), [Answer::Reserved]);
    store.release(batch(1, 2), &[after]).unwrap();
    let within = ask(1, 1_059_999, 60_000);
    assert_eq!(store.reserve(batch(1, 3), LONG_MS, &[within]).unwrap(), [duplicate(first)]);
}

#[test]
fn p2_dynamodb_ttl_can_never_delete_what_still_counts() {
    let Some(database) = database("ttlearly") else { return };
    let store = database.store();
    let day_s = 86_400;
    // An event of long ago out of an archive, one of just now, one that is ahead, one for ever.
    let now = wait(database.client().describe_table().table_name(TABLE).send()).unwrap();
    let now_s = now.table.unwrap().creation_date_time.unwrap().secs();
    let now_ms = now_s * 1_000;
    let keys = [
        ask(1, 1_000, 60_000),
        ask(2, now_ms, 60_000),
        ask(3, now_ms + 5 * day_s * 1_000, 60_000),
        ask(4, now_ms, FOREVER_MS),
    ];
    for (number, key) in keys.iter().enumerate() {
        settle(&store, batch(1, number as u64), &[*key]);
    }
    let of_keys = items(&database, b'k');
    assert_eq!(of_keys.len(), 4);
    let mut expiries: Vec<Option<i64>> = of_keys.iter().map(expires_s).collect();
    expiries.sort_unstable();
    assert_eq!(expiries[0], None, "for ever");
    let expiries: Vec<i64> = expiries.into_iter().flatten().collect();
    assert!(expiries.iter().all(|s| *s >= now_s + 15 * day_s), "{expiries:?}");
    assert!(expiries[2] >= now_s + 20 * day_s + 60, "{expiries:?}");
    // The record of each batch stays a week longer than its keys.
    let mut of_records: Vec<Option<i64>> = items(&database, b'b').iter().map(expires_s).collect();
    of_records.sort_unstable();
    assert_eq!(of_records[0], None);
    for (record, key) in of_records.into_iter().flatten().zip(expiries) {
        assert!(record >= key + 7 * day_s - 5, "{record} {key}");
    }
    // All are still duplicates, TTL on.
    let answers = store.reserve(batch(2, 1), LONG_MS, &keys).unwrap();
    assert_eq!(answers, keys.iter().map(|key| duplicate(*key)).collect::<Vec<_>>());
}

#[test]
fn dynamodb_entries_whose_margin_has_ended_go_when_their_item_is_written() {
    let Some(database) = database("margin") else { return };
    let store = database.store();
    let day_ms = 86_400_000;
    for number in 0..40 {
        settle(&store, batch(1, number), &[ask(1, number as i64 * day_ms, 1_000)]);
    }
    // 15 days and one second of margin and window: 16 of them are left.
    let bytes = items(&database, b'k')[0]["entries"].as_b().unwrap().as_ref().len();
    assert!(bytes <= 1 + 17 * 59, "{bytes}");
    let near = ask(1, 39 * day_ms + 5, 1_000);
    let answer = store.reserve(batch(2, 1), LONG_MS, &[near]).unwrap();
    assert_eq!(answer, [duplicate(ask(1, 39 * day_ms, 1_000))]);
}

#[test]
fn dynamodb_write_units_a_key() {
    let Some(database) = database("units") else { return };
    let (one, two) = (database.store(), database.store());
    let (count, before) = (500, one.consumed());
    let keys = asks(0..count, 1_000);
    let began = std::time::Instant::now();
    one.reserve(batch(1, 1), LONG_MS, &keys).unwrap();
    let took = began.elapsed();
    let reserved = one.consumed();
    assert_eq!(
        reserved.write_units - before.write_units,
        count as f64 + 1.0,
        "one a key and one a batch"
    );
    assert!(reserved.read_units - before.read_units <= 1.0);
    one.commit(batch(1, 1)).unwrap();
    one.settle(batch(1, 1), &keys).unwrap();
    assert_eq!(one.consumed().write_units - reserved.write_units, 1.0, "one a batch");
    let before = two.consumed();
    two.reserve(batch(2, 1), LONG_MS, &keys).unwrap();
    let duplicates = two.consumed();
    println!(
        "DynamoDB Local: {count} new keys in {} ms; {} write and {} read units for as many duplicates",
        took.as_millis(),
        duplicates.write_units - before.write_units,
        duplicates.read_units - before.read_units,
    );
    // The first time a batch is met, its keys are looked at once more; afterwards its end is known.
    assert!(duplicates.write_units - before.write_units <= count as f64 + 1.0);
    let before = two.consumed();
    two.reserve(batch(2, 1), LONG_MS, &keys).unwrap();
    assert!(two.consumed().read_units - before.read_units <= 1.0);
}

/// A value of the fixture: as in DynamoDB's JSON, but for bytes in hexadecimal.
fn value(value: &serde_json::Value) -> AttributeValue {
    let (kind, value) = value.as_object().unwrap().iter().next().unwrap();
    match kind.as_str() {
        "N" => AttributeValue::N(value.as_str().unwrap().into()),
        "S" => AttributeValue::S(value.as_str().unwrap().into()),
        "BOOL" => AttributeValue::Bool(value.as_bool().unwrap()),
        "B" => {
            let digits = value.as_str().unwrap().as_bytes().chunks(2);
            let byte = |two: &[u8]| u8::from_str_radix(str::from_utf8(two).unwrap(), 16).unwrap();
            AttributeValue::B(digits.map(byte).collect::<Vec<u8>>().into())
        }
        other => panic!("{other}"),
    }
}

#[test]
fn dynamodb_the_frozen_items_of_version_1_mean_what_they_meant() {
    let Some(database) = database("frozen") else { return };
    make_table(&database, "pk", ScalarAttributeType::B);
    let frozen: Vec<HashMap<String, serde_json::Value>> =
        serde_json::from_str(include_str!("../fixtures/v1/dynamodb.json")).unwrap();
    for item in frozen {
        let item: Item = item.iter().map(|(name, it)| (name.clone(), value(it))).collect();
        change(&database, &item, &[]);
    }
    let store = DynamoStore::connect(database.options()).unwrap();
    let scope = SharedScope { secret: [1; 16], ..scope() };
    let joined = store.join(&scope).unwrap();
    assert_eq!(joined.secret, [7; 16]);
    assert_eq!(joined.incarnation, 0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10);
    let asked: Vec<_> = (1..=7).map(|key| ask(key, 1_005, 1)).collect();
    let of =
        |recorded_ms, window_ms, body_hash| Answer::Duplicate { recorded_ms, window_ms, body_hash };
    let busy = Answer::Busy { by: batch(1, 9), lease_left_ms: 600_000 };
    let answers = store.reserve(batch(2, 1), LONG_MS, &asked).unwrap();
    // Committed; held by a committed batch, an aborted one, an open one; let go of; two entries;
    // held by a batch without a record.
    assert_eq!(answers[..3], [of(1_000, 60_000, 5), of(1_000, 60_000, 6), Answer::Reserved]);
    assert_eq!(answers[3..5], [busy, Answer::Reserved]);
    // Both reach it, either may be named.
    assert!(
        [of(1_000, 10, 9), of(5_000, FOREVER_MS, 10)].contains(&answers[5]),
        "{:?}",
        answers[5]
    );
    assert_eq!(answers[6], Answer::Reserved);
}
