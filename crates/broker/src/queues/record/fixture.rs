//! Version 1 as it was frozen.

use std::collections::BTreeMap;

use bytes::Bytes;
use event::{BatchNumber, LedgerId};

use super::entry::RecordError;
use super::{Copied, Definition, Entry, Note, Place, RecordWriter, SentMessage, entries};
use crate::producer::{Producer, Sequence};
use crate::queues::effect::Change;
use crate::queues::statistics::Counters;
use crate::queues::{MessageAttribute, NewMessage, QueueAttributes, Redrive};

const FROZEN: &[u8] = include_bytes!("../../../tests/fixtures/queues-v1.record");

fn attributes() -> QueueAttributes {
    QueueAttributes {
        visibility_timeout_s: 31,
        delay_s: 2,
        receive_wait_s: 3,
        retention_s: 600,
        message_bytes_max: 2048,
        redrive: Some(Redrive { dead_letter_queue: "dead".into(), receive_count_max: 4 }),
    }
}

fn definition(counters: Option<Counters>) -> Definition {
    Definition {
        number: 7,
        creation_id: 1 << 100,
        name: "iot-queue".into(),
        created_ms: 1_767_225_600_000,
        modified_ms: 1_767_225_600_001,
        purged_ms: counters.map(|_| 1_767_225_600_002),
        attributes: attributes(),
        tags: tags(),
        counters,
    }
}

fn tags() -> BTreeMap<String, String> {
    BTreeMap::from([("team".into(), "one".into())])
}

fn message() -> NewMessage {
    NewMessage {
        body: Bytes::from_static(b"{\"id\":1}"),
        attributes: vec![MessageAttribute {
            name: "kind".into(),
            data_type: "String".into(),
            value: Bytes::from_static(b"iot"),
        }],
        delay_s: None,
        group: Some("tenant".into()),
        trace: None,
    }
}

fn note(id: u128) -> Note {
    Note {
        id,
        first_received_ms: 11,
        received_ms: 12,
        visible_at_ms: 13,
        receipt: (3 << 40) + 1,
        receive_count: 2,
    }
}

fn producer() -> (Producer, Sequence) {
    let producer = Producer { ledger_id: LedgerId(9), pipe: "p".into(), sink: "s".into() };
    (producer, Sequence { batch: BatchNumber(5), index: 6 })
}

/// A record with every kind of entry, and what it says.
fn every_kind() -> (Vec<u8>, Vec<Entry>) {
    let counters = Counters { sent: 5, deleted: 4, moved: 3, expired: 2, purged: 1 };
    let (named, sequence) = producer();
    let mut record = RecordWriter::default();
    record.opened(3, 8);
    record.mark();
    record.queue(&definition(None));
    record.queue(&definition(Some(counters)));
    record.queue_changed(7, &Change::Attributes(17, attributes()));
    record.queue_changed(7, &Change::Tags(tags()));
    record.sent(7, 21, Some((&named, sequence)), 1);
    let first = record.message(0x11, 2000, &message());
    record.sent(7, 22, None, 1);
    let second = record.message(0x12, 0, &message());
    record.deleted(7, &[0x11]);
    record.moved(7, 8, &[0x12]);
    record.expired(8, &[0x12, 0x13]);
    record.purged(7, 23, 4);
    record.noted(&[note(0x14), note(0x15)]);
    let content = content_of(record.bytes(), first);
    let offset = record.copied(8, 24, Some("iot-queue"), &note(0x16), &content);
    record.copied_producer(7, &named, sequence);
    record.queue_deleted(7);
    let sent = |id, delay_ms, place| vec![SentMessage { id, delay_ms, place }];
    let copied = Copied {
        queue: 8,
        sent_ms: 24,
        source: Some("iot-queue".into()),
        note: note(0x16),
        place: Place { offset, ..first },
    };
    let messages = sent(0x11, 2000, first);
    let (producer, entry) = (Some(producer()), |messages, sent_ms, producer| Entry::Sent {
        queue: 7,
        sent_ms,
        producer,
        messages,
    });
    let entries = vec![
        Entry::Opened { epoch: 3, next_queue: 8 },
        Entry::Mark,
        Entry::Queue(definition(None)),
        Entry::Queue(definition(Some(counters))),
        Entry::QueueChanged { queue: 7, change: Change::Attributes(17, attributes()) },
        Entry::QueueChanged { queue: 7, change: Change::Tags(tags()) },
        entry(messages, 21, producer),
        entry(sent(0x12, 0, second), 22, None),
        Entry::Deleted { queue: 7, ids: vec![0x11] },
        Entry::Moved { from: 7, to: 8, ids: vec![0x12] },
        Entry::Expired { queue: 8, ids: vec![0x12, 0x13] },
        Entry::Purged { queue: 7, at_ms: 23, count: 4 },
        Entry::Noted(vec![note(0x14), note(0x15)]),
        Entry::CopiedMessages(vec![copied]),
        Entry::CopiedProducer { queue: 7, producer: named, sequence },
        Entry::QueueDeleted { queue: 7 },
    ];
    (record.finish(), entries)
}

fn content_of(record: &[u8], place: Place) -> Vec<u8> {
    record[place.offset as usize..][..place.bytes as usize].to_vec()
}

fn read(record: &[u8]) -> Result<Vec<Entry>, RecordError> {
    let mut found = Vec::new();
    entries(record, |entry| found.push(entry))?;
    Ok(found)
}

#[test]
fn version_1_is_read_and_written_byte_for_byte() {
    let (written, said) = every_kind();
    assert_eq!(read(FROZEN).unwrap(), said);
    assert!(written == FROZEN, "it is no longer written as version 1");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let (mut record, _) = every_kind();
    for bytes in 0..record.len() {
        // Between two entries a record could end; it says less then.
        let _ = read(&record[..bytes]);
    }
    assert_eq!(read(&record[..record.len() - 1]), Err(RecordError::Malformed));
    record.push(99);
    assert_eq!(read(&record), Err(RecordError::Malformed));
    record[0] = 2;
    assert_eq!(read(&record), Err(RecordError::Newer(2)));
    assert_eq!(read(&[]), Err(RecordError::Malformed));
}
