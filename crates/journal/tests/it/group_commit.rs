//! Appends that wait together share a sync, in the order of their calls.

use std::io;
use std::path::Path;
use std::sync::{Arc, Barrier, Condvar, Mutex};
use std::thread;

use journal::{
    DirEntry, Disk, DiskFile, FileStat, Journal, JournalConfig, PendingSync, SimDisk, SyncPoint,
};

use crate::support::{SMALL, dir, open_on};

/// A disk whose group syncs wait for a gate.
struct Gated {
    disk: SimDisk,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    open: Flag,
    /// Somebody stood at the gate.
    reached: Flag,
}

/// A flag to wait for.
#[derive(Default)]
struct Flag {
    set: Mutex<bool>,
    changed: Condvar,
}

impl Flag {
    fn set(&self) {
        *self.set.lock().unwrap() = true;
        self.changed.notify_all();
    }

    fn wait(&self) {
        drop(self.changed.wait_while(self.set.lock().unwrap(), |set| !*set).unwrap());
    }
}

impl Gate {
    fn open(&self) {
        self.open.set();
    }

    fn pass(&self) {
        self.reached.set();
        self.open.wait();
    }
}

struct GatedFile {
    file: Arc<dyn DiskFile>,
    gate: Arc<Gate>,
}

impl Gated {
    fn file(&self, file: io::Result<Arc<dyn DiskFile>>) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(GatedFile { file: file?, gate: Arc::clone(&self.gate) }))
    }
}

impl Disk for Gated {
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.file(self.disk.create_new(path))
    }
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.file(self.disk.open(path))
    }
    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.disk.open_read(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn unlink(&self, path: &Path) -> io::Result<()> {
        self.disk.unlink(path)
    }
    fn mkdir(&self, path: &Path) -> io::Result<()> {
        self.disk.mkdir(path)
    }
    fn rmdir(&self, path: &Path) -> io::Result<()> {
        self.disk.rmdir(path)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.disk.list(dir)
    }
    fn stat(&self, path: &Path) -> io::Result<Option<FileStat>> {
        self.disk.stat(path)
    }
    fn sync_dir(&self, dir: &Path, point: SyncPoint) -> io::Result<()> {
        self.disk.sync_dir(dir, point)
    }
}

impl DiskFile for GatedFile {
    fn preallocate(&self, bytes: u64) -> io::Result<()> {
        self.file.preallocate(bytes)
    }
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_at(offset, bytes)
    }
    fn write_vectored_at(&self, offset: u64, parts: &[io::IoSlice<'_>]) -> io::Result<()> {
        self.file.write_vectored_at(offset, parts)
    }
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, into)
    }
    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn sync_start(&self, point: SyncPoint) -> PendingSync {
        if point == SyncPoint("journal.group") {
            self.gate.pass();
        }
        self.file.sync_start(point)
    }
}

fn gated(disk: &SimDisk) -> (Arc<Gate>, Arc<Gated>) {
    let gate = Arc::new(Gate::default());
    (Arc::clone(&gate), Arc::new(Gated { disk: disk.clone(), gate }))
}

#[test]
fn appends_of_64_threads_share_two_syncs() {
    let disk = SimDisk::new(1);
    let (gate, gated) = gated(&disk);
    let (journal, _) = open_on(gated, &dir()).unwrap();
    let submitted = Barrier::new(65);
    thread::scope(|scope| {
        for n in 0..64_u8 {
            let (journal, submitted) = (&journal, &submitted);
            scope.spawn(move || {
                let pending = journal.submit(vec![n; 8]);
                submitted.wait();
                pending.wait().unwrap();
            });
        }
        submitted.wait();
        gate.open();
    });
    let syncs = disk.sync_counts()[&SyncPoint("journal.group")];
    assert!(syncs <= 2, "{syncs} syncs for 64 appends");
}

#[test]
fn nothing_is_answered_before_its_sync_and_the_order_is_that_of_the_calls() {
    let disk = SimDisk::new(1);
    let (gate, gated) = gated(&disk);
    let (journal, _) = open_on(gated, &dir()).unwrap();
    let pending: Vec<_> = (0..50_u8).map(|n| journal.submit(vec![n; 99])).collect();
    gate.reached.wait();
    assert_eq!(journal.end().0, 0);
    assert_eq!(journal.reader(journal.begin()).next().unwrap(), None);
    gate.open();
    let positions: Vec<_> = pending.into_iter().map(|pending| pending.wait().unwrap()).collect();
    assert!(positions.is_sorted_by(|one, next| one < next));
    let mut reader = journal.reader(journal.begin());
    for (n, position) in positions.iter().enumerate() {
        assert_eq!(reader.next().unwrap(), Some((*position, &[n as u8; 99][..])));
        assert_eq!(journal.read(*position).unwrap(), [n as u8; 99]);
    }
    assert_eq!(reader.next().unwrap(), None);
}

#[test]
fn p6_past_queue_bytes_max_an_append_waits_or_is_given_back() {
    let disk = SimDisk::new(1);
    let (gate, gated) = gated(&disk);
    let config = JournalConfig { queue_bytes_max: 1000, ..SMALL };
    let journal = Journal::open(gated, &dir(), config, &mut |_, _| Ok(())).unwrap();
    // The first may be at the disk already, so it doesn't count.
    let mut pending = vec![journal.submit(vec![0; 900])];
    let given_back = loop {
        match journal.try_submit(vec![1; 400]) {
            Ok(queued) => pending.push(queued),
            Err(given_back) => break given_back,
        }
        assert!(pending.len() < 10, "the queue has no bound");
    };
    assert_eq!(given_back, vec![1; 400]);
    thread::scope(|scope| {
        let waits = scope.spawn(|| journal.append(vec![2; 1000]).unwrap());
        gate.open();
        waits.join().unwrap();
    });
    assert!(pending.into_iter().all(|pending| pending.wait().is_ok()));
}

#[test]
fn an_append_can_be_awaited() {
    let disk = SimDisk::new(1);
    let (journal, _) = open_on(Arc::new(disk), &dir()).unwrap();
    let pending = journal.submit(vec![7]);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let mut pending = Box::pin(pending);
    let answer = loop {
        match pending.as_mut().poll(&mut context) {
            std::task::Poll::Ready(answer) => break answer,
            std::task::Poll::Pending => thread::yield_now(),
        }
    };
    assert_eq!(journal.read(answer.unwrap()).unwrap(), [7]);
}

#[test]
fn dropping_a_journal_writes_out_what_was_queued() {
    let disk = SimDisk::new(1);
    let (journal, _) = open_on(Arc::new(disk.clone()), &dir()).unwrap();
    let pending: Vec<_> = (0..20).map(|n| journal.submit(vec![n])).collect();
    drop(journal);
    assert!(pending.into_iter().all(|pending| pending.wait().is_ok()));
    let (_, found) = open_on(Arc::new(disk.after_power_loss(0)), &dir()).unwrap();
    assert_eq!(found.len(), 20);
}
