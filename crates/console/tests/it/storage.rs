//! Bytes by tier.

use std::io::Write;
use std::path::Path;

use console::last_run::{DeadLettersRun, LastRun, PipeRun, SinkRun};
use console::{Report, Storage};
use dedup::ledger::LedgerState;
use event::LedgerId;

fn file(root: &Path, name: &str, bytes: usize) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).open(path).unwrap();
    file.write_all(&vec![b'x'; bytes]).unwrap();
}

fn note(root: &Path, storage_bytes_max: Option<u64>) -> LastRun {
    let lake = SinkRun { name: "lake".into(), kind: "lake".into(), path: Some(root.join("lake")) };
    let pipe = PipeRun {
        pipe: "app".into(),
        sinks: vec![lake],
        rejected: root.join("data/rejected/app.ndjson"),
        storage_bytes_max,
        ..PipeRun::default()
    };
    LastRun { pipes: vec![pipe], ..LastRun::default() }
}

#[test]
fn p6_every_tier_is_added_up_and_a_limit_is_warned_of() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    file(root, "data/ledger/journal/1.journal", 1);
    file(root, "data/ledger/runs/1.run", 2);
    file(root, "data/rejected/app.ndjson", 8);
    file(root, "lake/year=2026/a.ndjson", 16);
    file(root, "lake/year=2026/_b.ndjson.open", 32);
    file(root, "lake/year=2026/_a.keys", 64);
    file(root, "lake/table/year=2026/a.parquet", 128);
    file(root, "data/broker/queues/1.journal", 256);
    let data_dir = root.join("data");
    let note = note(root, Some(247));
    let storage = Storage::measure(&data_dir, Some(&note));
    let tiers: Vec<_> =
        storage.tiers.iter().map(|tier| (tier.name, tier.files, tier.bytes)).collect();
    assert_eq!(
        tiers,
        [
            ("ledger journal", 1, 1),
            ("key runs", 1, 2),
            ("spill", 0, 0),
            ("queues", 1, 256),
            ("lake, finished", 1, 16),
            ("lake, open", 1, 32),
            ("lake, table", 1, 128),
            ("lake, sidecars", 1, 64),
            ("rejected", 1, 8),
        ]
    );
    assert_eq!((storage.bytes(), storage.bytes_of("app")), (507, 248));
    let facts = |last_run| console::report::Facts {
        data_dir: &data_dir,
        last_run: Some(last_run),
        tables: &[],
        running: true,
        now_ms: 0,
    };
    let state = LedgerState::new(LedgerId(1));
    let over = Report::new(&state, &facts(&note));
    assert!(over.warnings[0].contains("wrote 248 B, more than its storage_bytes_max of 247 B"));
    let note = self::note(root, Some(248));
    assert!(Report::new(&state, &facts(&note)).warnings.is_empty());
}

#[test]
fn p6_dead_letters_are_nobodys_and_an_archive_is_its_pipes() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    file(root, "data/dead/app/2026/a.json", 3);
    file(root, "data/archive/app/b.archive", 5);
    let mut note = note(root, None);
    let letters = DeadLettersRun { path: root.join("data/dead"), bytes_max: 100 };
    note.pipes[0].dead_letters = vec![letters];
    note.pipes[0].archive = Some(root.join("data/archive/app"));
    let second = PipeRun { pipe: "second".into(), ..note.pipes[0].clone() };
    note.pipes.push(second);
    let storage = Storage::measure(&root.join("data"), Some(&note));
    let of = |name: &str| {
        let tiers = storage.tiers.iter().filter(|tier| tier.name == name);
        tiers.map(|tier| (tier.pipe.clone(), tier.bytes)).collect::<Vec<_>>()
    };
    assert_eq!(of("dead letters"), [(None, 3)], "a folder that two pipes share counts once");
    assert_eq!(of("archive")[0], (Some("app".to_owned()), 5));
    assert_eq!(storage.bytes_of("app"), 5);
}
