//! The file sink and standard output without crashes.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use connect::{FileSink, FileSinkOptions, StdoutSink};
use event::batch::Batch;
use event::sink::{Guarantee, Rows, Sink, SinkError, SinkState};
use event::{BatchNumber, Span};
use journal::{Disk, Fault, RealDisk, SimDisk};

use crate::fake_ledger::{FakeLedger, Step, batch, event, identity, run};

fn sink(disk: Arc<dyn Disk>, path: &Path, append: bool) -> FileSink {
    FileSink::new(FileSinkOptions { path: path.to_path_buf(), append }, identity(1), disk)
}

fn events(ids: std::ops::Range<u64>) -> Batch {
    batch(&ids.map(|id| event(id, 0, 0)).collect::<Vec<_>>())
}

fn stage(
    sink: &mut dyn Sink,
    batch: &Batch,
    which: &[u32],
) -> Result<event::sink::Staged, SinkError> {
    sink.stage(&Rows { batch, number: BatchNumber(1), events: which, now_ms: 0 })
}

#[test]
fn rows_are_the_payloads_in_order_on_a_real_disk() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("made/on/the/way/out.ndjson");
    let mut sink = sink(Arc::new(RealDisk::new()), &path, false);
    let opened = sink.open(&SinkState::default()).unwrap();
    assert_eq!((opened.files[0].base_len, opened.files[0].len), (0, 0));
    let mut batch = events(0..20);
    batch.rewritten = b"{\n \"pretty\": 1\n}".to_vec();
    batch.events[7].rewritten = Some(Span { start: 0, len: 16 });
    let which: Vec<u32> = (0..20).filter(|i| i % 5 != 0).collect();
    let staged = stage(&mut sink, &batch, &which).unwrap();
    staged.pending.into_iter().for_each(|pending| pending().unwrap());
    let row = |&i: &u32| match i {
        7 => "{  \"pretty\": 1 }\n".to_owned(),
        _ => event(u64::from(i), 0, 0).payload + "\n",
    };
    let expected: String = which.iter().map(row).collect();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
    assert_eq!(staged.output.files[0].len, expected.len() as u64);
    assert_eq!(stage(&mut sink, &batch, &[]).unwrap().output.files, [], "nothing for no rows");
}

#[test]
fn a_file_that_the_ledger_does_not_know_is_refused_unless_it_is_empty_or_append() {
    let disk = SimDisk::new(1);
    let path = Path::new("/out.ndjson");
    let file = disk.create_new(path).unwrap();
    let open = |append| sink(Arc::new(disk.clone()), path, append).open(&SinkState::default());
    assert_eq!(open(false).unwrap().files[0].base_len, 0, "an empty one is fine");
    file.write_at(0, b"mine\n").unwrap();
    let Err(SinkError::Foreign { what, help }) = open(false) else { panic!("it was taken") };
    assert!(what.contains("/out.ndjson holds 5 bytes"), "{what}");
    assert!(help.contains("append: true"), "{help}");
    assert_eq!(disk.read_file(path).unwrap(), b"mine\n", "nothing was touched");
    let opened = open(true).unwrap();
    assert_eq!((opened.files[0].base_len, opened.files[0].len), (5, 5));
}

#[test]
fn a_file_that_is_shorter_than_recorded_or_gone_stops_the_pipe_by_name() {
    let path = Path::new("/out.ndjson");
    for len in [None, Some(0), Some(10)] {
        let disk = SimDisk::new(1);
        let mut ledger = FakeLedger::new();
        let make = |disk, identity| -> Box<dyn Sink> {
            let options = FileSinkOptions { path: PathBuf::from("/out.ndjson"), append: false };
            Box::new(FileSink::new(options, identity, disk))
        };
        run(&disk, &mut ledger, &make, &[Step::Stage(vec![event(3, 0, 0)])]).unwrap();
        match len {
            None => disk.unlink(path).unwrap(),
            Some(len) => disk.open(path).unwrap().set_len(len).unwrap(),
        }
        let error = run(&disk, &mut ledger, &make, &[]).unwrap_err().to_string();
        assert!(error.contains("the ledger says that it holds 22"), "{error}");
        assert!(error.contains("Put the file back"), "{error}");
    }
}

#[test]
fn p7_a_full_disk_takes_the_batch_back_and_trying_again_works() {
    let disk = SimDisk::new(1);
    let path = Path::new("/out.ndjson");
    let mut sink = sink(Arc::new(disk.clone()), path, false);
    sink.open(&SinkState::default()).unwrap();
    let (first, second) = (events(0..3), events(3..40));
    stage(&mut sink, &first, &[0, 1, 2]).unwrap();
    let before = disk.read_file(path).unwrap();
    let all: Vec<u32> = (0..37).collect();
    disk.set_capacity(before.len() as u64 + 100);
    let full = stage(&mut sink, &second, &all);
    assert!(matches!(full, Err(SinkError::NoSpace { .. })), "{full:?}");
    assert_eq!(disk.read_file(path).unwrap(), before);
    disk.set_capacity(u64::MAX);
    let staged = stage(&mut sink, &second, &all).unwrap();
    assert_eq!(staged.output.files[0].base_len, before.len() as u64);
    let text = String::from_utf8(disk.read_file(path).unwrap()).unwrap();
    let expected: Vec<String> = (0..40).map(|id| event(id, 0, 0).payload).collect();
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn p7_a_failed_sync_is_never_taken_as_lack_of_space() {
    for fault in [Fault::Io, Fault::NoSpace] {
        let disk = SimDisk::new(1);
        let mut sink = sink(Arc::new(disk.clone()), Path::new("/out.ndjson"), false);
        sink.open(&SinkState::default()).unwrap();
        let staged = stage(&mut sink, &events(0..3), &[0, 1, 2]).unwrap();
        disk.fail_at(disk.ops(), fault);
        for pending in staged.pending {
            assert!(matches!(pending(), Err(SinkError::Io { action: "sync", .. })));
        }
        let next = stage(&mut sink, &events(3..4), &[0]).unwrap();
        assert!(next.pending.into_iter().all(|pending| pending().is_err()), "it stays failed");
    }
}

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn standard_output_is_at_least_once_and_written_when_staged() {
    let captured = Captured::default();
    let mut sink = StdoutSink::to(identity(1), Box::new(captured.clone()));
    assert_eq!(sink.guarantee(), Guarantee::AtLeastOnce);
    sink.open(&SinkState::default()).unwrap();
    let staged = stage(&mut sink, &events(1..4), &[0, 2]).unwrap();
    assert!(staged.pending.is_empty() && staged.output.is_empty());
    let expected = format!("{}\n{}\n", event(1, 0, 0).payload, event(3, 0, 0).payload);
    assert_eq!(String::from_utf8(captured.0.lock().unwrap().clone()).unwrap(), expected);
}
