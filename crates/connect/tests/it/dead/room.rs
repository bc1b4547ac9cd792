//! A store that is full, shared or away: nothing is dropped, and it says so.

use std::path::Path;
use std::sync::Arc;

use connect::dead::{After, DeadStore, LetterFilter};
use event::BatchNumber;
use event::sink::{Sink, SinkError, SinkState};
use journal::{Disk, RealDisk, SimDisk};

use super::kit::{NOW, bodies, dead_batch, folder, found, options, rows, settle, store};

fn sim() -> (SimDisk, Arc<dyn Disk>) {
    let disk = SimDisk::new(7);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    (disk, shared)
}

fn refused(result: Result<impl Sized, SinkError>) -> String {
    match result {
        Err(SinkError::NoSpace { what }) => what,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it went well"),
    }
}

#[test]
fn p6_a_full_store_takes_nothing_and_goes_on_once_letters_are_purged() {
    let (sim, disk) = sim();
    let mut first = store(&disk, 3000);
    settle(&mut first, 1, &dead_batch("s", 1, &[(b"one", b"k", NOW), (b"two", b"k", NOW)]))
        .unwrap();
    let files = sim.files();
    let more = dead_batch("s", 3, &[(b"three", b"", NOW), (b"four", b"", NOW)]);
    let all = [0, 1];
    let what = refused(first.stage(&rows(&more, 2, &all)));
    assert!(what.contains("holds") && what.contains("of 3000 bytes"), "{what}");
    assert!(what.contains("dead_letter.store_bytes_max"), "{what}");
    assert_eq!(sim.files(), files, "nothing of the refused batch remains");
    // Another pipe with the same store sees the same room; so does one after a restart.
    let mut identity = crate::fake_ledger::identity(1);
    identity.pipe = "other".into();
    let mut second = DeadStore::new(options(3000), identity, Arc::clone(&disk));
    second.open(&SinkState::default()).unwrap();
    refused(second.stage(&rows(&more, 1, &all)));
    drop((first, second));
    let mut again = store(&disk, 3000);
    refused(again.stage(&rows(&more, 2, &all)));

    let old = found(&disk, LetterFilter::default());
    let old: Vec<_> = old.iter().map(|one| (&one.name, one.bytes)).collect();
    folder(&disk).settle(old.into_iter(), After::Remove).unwrap();
    assert!(sim.files().is_empty(), "{:?}", sim.files());
    settle(&mut again, 2, &more).unwrap();
    assert_eq!(bodies(&found(&disk, LetterFilter::default())), ["four", "three"]);
}

#[test]
fn p6_what_is_withdrawn_takes_no_room() {
    let (_, disk) = sim();
    let mut sink = store(&disk, 4000);
    let all = [0, 1];
    for round in 1..20 {
        let batch = dead_batch("s", round, &[(b"one", b"", NOW), (b"two", b"", NOW)]);
        let staged = sink.stage(&rows(&batch, 1, &all)).unwrap();
        sink.withdraw(&staged.output).unwrap();
    }
    assert!(found(&disk, LetterFilter::default()).is_empty());
}

#[test]
fn p6_a_full_disk_is_no_space_and_nothing_remains() {
    let (sim, disk) = sim();
    let mut sink = store(&disk, 1 << 40);
    sim.set_capacity(600);
    let batch = dead_batch("s", 1, &[(b"one", b"", NOW)]);
    refused(sink.stage(&rows(&batch, 1, &[0])));
    assert!(sim.files().is_empty(), "{:?}", sim.files());
    sim.set_capacity(u64::MAX);
    settle(&mut sink, 1, &batch).unwrap();
    assert_eq!(bodies(&found(&disk, LetterFilter::default())), ["one"]);
}

#[test]
fn p1_a_store_that_is_away_stops_its_pipe_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("mnt/dead");
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::default());
    let mut all = options(1 << 30);
    all.root.clone_from(&root);
    let mut sink = DeadStore::new(all, crate::fake_ledger::identity(1), Arc::clone(&disk));
    sink.open(&SinkState::default()).unwrap();
    let batch = dead_batch("s", 1, &[(b"one", b"", NOW)]);
    let staged = sink.stage(&rows(&batch, 1, &[0])).unwrap();
    staged.pending.into_iter().for_each(|pending| pending().unwrap());
    std::fs::rename(dir.path().join("mnt"), dir.path().join("gone")).unwrap();
    std::fs::create_dir(dir.path().join("mnt")).unwrap();
    let says = |error: SinkError| {
        let text = error.to_string();
        assert!(text.contains("dead-letter store") && text.contains("mnt/dead"), "{text}");
    };
    says(sink.stage(&rows(&batch, 2, &[0])).unwrap_err());
    // A start without it doesn't make an empty one while letters are to be published.
    let state = SinkState {
        published_through: BatchNumber(0),
        files: [].into(),
        unpublished: vec![(BatchNumber(1), staged.output.clone())],
    };
    says(sink.open(&state).unwrap_err());
    assert!(!Path::new(&root).exists());
    std::fs::remove_dir(dir.path().join("mnt")).unwrap();
    std::fs::rename(dir.path().join("gone"), dir.path().join("mnt")).unwrap();
    sink.open(&state).unwrap();
    let folder = connect::dead::DeadFolder::new(disk, &root);
    assert_eq!(folder.letters(LetterFilter::default()).count(), 1);
}

#[test]
fn only_the_dead_of_its_number_get_a_letter() {
    let (_, disk) = sim();
    let mut sink = store(&disk, 1 << 30);
    let mut batch = dead_batch("s", 1, &[(b"one", b"", NOW), (b"two", b"", NOW)]);
    batch.deaths[1].letters = 3;
    settle(&mut sink, 1, &batch).unwrap();
    assert_eq!(bodies(&found(&disk, LetterFilter::default())), ["one"]);
    batch.deaths[0].letters = 3;
    let all = [0, 1];
    assert!(sink.stage(&rows(&batch, 2, &all)).unwrap().output.is_empty());
}
