//! Letters as messages of a queue.

use std::path::Path;
use std::sync::Arc;

use broker::queues::Receive;
use broker::{Broker, BrokerOptions};
use connect::dead::{DeadQueue, Letter, LetterFilter};
use connect::{QueueTarget, SpoolOptions};
use event::sink::{Sink, SinkState};
use event::{Clock, TestClock};
use journal::{Disk, SimDisk};

use super::kit::{NOW, ROOT, context, dead_batch, found, settle, store};

#[test]
fn p5_each_letter_is_a_message_and_a_large_one_points_to_the_store() {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(5));
    let clock: Arc<dyn Clock> = Arc::new(TestClock::new(NOW));
    let broker =
        Broker::open(&disk, Path::new("/broker"), BrokerOptions::default(), &clock).unwrap();
    let target = Arc::new(QueueTarget::open(&broker, "dead").unwrap());
    let spool = SpoolOptions { root: "/spool".into(), spool_bytes_max: 1 << 30 };
    let mut identity = crate::fake_ledger::identity(1);
    identity.sink = "dead-queue".into();
    let mut queue =
        DeadQueue::new(spool, Path::new(ROOT), 0, context(), identity, target, Arc::clone(&disk));
    queue.open(&SinkState::default()).unwrap();
    let mut folder = store(&disk, 1 << 30);
    let large = vec![b'x'; 2 << 20];
    let batch = dead_batch("s", 1, &[(b"small", b"k", NOW), (&large, b"", NOW)]);
    settle(&mut folder, 1, &batch).unwrap();
    settle(&mut queue, 1, &batch).unwrap();

    let in_store = found(&disk, LetterFilter::default());
    let receive =
        Receive { messages_max: 10, bytes_max: 1 << 30, visibility_ms: None, remembered: false };
    let messages = broker.queues().get("dead").unwrap().receive(receive).unwrap();
    assert_eq!(messages.len(), 2);
    let whole = Letter::decode(&messages[0].body).unwrap();
    assert!(!whole.edited);
    let small = in_store.iter().find(|one| one.letter.body == "small").unwrap();
    assert_eq!(whole.letter, small.letter, "the same letter in store and queue");
    let pointer: serde_json::Value = serde_json::from_slice(&messages[1].body).unwrap();
    let path = pointer["store_path"].as_str().unwrap();
    let large = in_store.iter().find(|one| one.letter.body.len() == 2 << 20).unwrap();
    assert_eq!(path, large.name.path());
    assert_eq!(pointer["store"], ROOT);
    broker.close().unwrap();
}
