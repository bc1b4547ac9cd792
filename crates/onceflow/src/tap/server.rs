//! The owner's end: a thread that accepts, and one per client.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;
use journal::Disk;
use pipe::tap::{Tap, TapHub};

use super::line::{Aside, line};
use super::{CompactRequests, Jobs, Request, socket};
use crate::test_clock::pause;

/// Clients at once; further ones are refused.
const CLIENTS_MAX: usize = 16;
/// Length of a request.
const REQUEST_BYTES_MAX: u64 = 64 * 1024;
/// How long a client may take to ask, or to take what it is sent.
const CLIENT_PATIENCE: Duration = Duration::from_secs(5);
/// How often a connection without events says that it lives.
const QUIET: Duration = Duration::from_millis(200);
/// How long a run that ends waits for its clients to take the last events.
const DRAIN_MAX: Duration = Duration::from_secs(2);

#[derive(Default)]
struct Shared {
    over: AtomicBool,
    clients: AtomicUsize,
}

/// What is done on request.
#[derive(Clone)]
struct Work {
    compact: CompactRequests,
    jobs: Jobs,
}

/// The socket while it is open.
pub(crate) struct Server {
    path: PathBuf,
    inode: u64,
    disk: Arc<dyn Disk>,
    shared: Arc<Shared>,
}

/// Opens the socket. The caller owns the data folder, so a socket that lies there is stale.
pub(crate) fn serve(
    data_dir: &Path,
    disk: &Arc<dyn Disk>,
    taps: &TapHub,
    compact: &CompactRequests,
    jobs: &Jobs,
) -> Option<Server> {
    match try_serve(data_dir, disk, taps, compact, jobs) {
        Ok(server) => Some(server),
        Err(error) => {
            tracing::warn!(%error, "no socket in the data folder; the run goes on without tap");
            None
        }
    }
}

fn try_serve(
    data_dir: &Path,
    disk: &Arc<dyn Disk>,
    taps: &TapHub,
    compact: &CompactRequests,
    jobs: &Jobs,
) -> io::Result<Server> {
    let path = socket::path(data_dir);
    match disk.unlink(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = socket::bind(data_dir)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    let inode = std::fs::metadata(&path)?.ino();
    let shared = Arc::new(Shared::default());
    let (to_thread, taps) = (Arc::clone(&shared), taps.clone());
    let work = Work { compact: compact.clone(), jobs: jobs.clone() };
    std::thread::Builder::new()
        .name("tap".to_owned())
        .spawn(move || accept(&listener, &taps, &work, &to_thread))?;
    Ok(Server { path, inode, disk: Arc::clone(disk), shared })
}

impl Server {
    /// Closes the socket, and gives clients a moment to take what is waiting for them.
    pub(crate) fn close(self) {
        self.shared.over.store(true, Ordering::Release);
        // By now another process may own the folder, with a socket of its own.
        if std::fs::metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            let _ = self.disk.unlink(&self.path); // the next owner removes what is left
        }
        let until = Instant::now() + DRAIN_MAX;
        while self.shared.clients.load(Ordering::Acquire) > 0 && Instant::now() < until {
            pause();
        }
    }
}

fn accept(listener: &UnixListener, taps: &TapHub, work: &Work, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        if shared.over.load(Ordering::Acquire) {
            return;
        }
        let Ok(client) = client else {
            pause();
            continue;
        };
        if shared.clients.fetch_add(1, Ordering::AcqRel) >= CLIENTS_MAX {
            shared.clients.fetch_sub(1, Ordering::AcqRel);
            let _ = refuse(&client, format!("{CLIENTS_MAX} taps are open already"));
            continue;
        }
        let (taps, work, of_thread) = (taps.clone(), work.clone(), Arc::clone(shared));
        let serve = move || {
            // A client that went away is no event of the run.
            let _ = serve_client(&client, &taps, &work, &of_thread);
            of_thread.clients.fetch_sub(1, Ordering::AcqRel);
        };
        if std::thread::Builder::new().name("tap-client".to_owned()).spawn(serve).is_err() {
            shared.clients.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

fn refuse(mut client: &UnixStream, error: String) -> io::Result<()> {
    let mut text = serde_json::to_vec(&Aside { dropped: None, error: Some(error) })?;
    text.push(b'\n');
    client.write_all(&text)
}

fn serve_client(
    client: &UnixStream,
    taps: &TapHub,
    work: &Work,
    shared: &Shared,
) -> io::Result<()> {
    client.set_read_timeout(Some(CLIENT_PATIENCE))?;
    client.set_write_timeout(Some(CLIENT_PATIENCE))?;
    let mut request = String::new();
    BufReader::new(client.take(REQUEST_BYTES_MAX)).read_line(&mut request)?;
    if request.is_empty() {
        return Ok(()); // somebody only wanted to know whether we live
    }
    let mut parsed = serde_json::from_str::<Request>(&request).map_err(|error| error.to_string());
    if parsed.as_ref().is_ok_and(|request| request.compact) {
        return super::compact::serve(client, &work.compact);
    }
    if let Some(job) = parsed.as_mut().ok().and_then(|request| request.job.take()) {
        return super::jobs::serve(client, &work.jobs, job);
    }
    let tap = match parsed.and_then(Request::filter) {
        Ok(filter) => taps.subscribe(filter),
        Err(error) => return refuse(client, error),
    };
    send(client, &tap, shared)
}

fn send(mut client: &UnixStream, tap: &Tap, shared: &Shared) -> io::Result<()> {
    let mut told = None;
    loop {
        match tap.events.recv_timeout(QUIET) {
            Ok(event) => client.write_all(&line(&event))?,
            Err(RecvTimeoutError::Timeout) if shared.over.load(Ordering::Acquire) => break,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        // At the start, and whenever more were missed: also how a client that left is noticed.
        if told != Some(tap.dropped()) || tap.events.is_empty() {
            told = Some(tap.dropped());
            let mut text = serde_json::to_vec(&Aside { dropped: told, error: None })?;
            text.push(b'\n');
            client.write_all(&text)?;
        }
    }
    Ok(())
}
