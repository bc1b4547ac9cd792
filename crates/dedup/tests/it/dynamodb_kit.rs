//! DynamoDB Local for tests: one server for all of them, a database for each.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use dedup::store::dynamodb::{DynamoEndpoint, DynamoOptions, DynamoStore};
use dedup::store::{
    Answer, Asked, BatchRef, BatchState, Joined, SharedScope, Store, StoreError, StoreFault,
};
use event::{BatchNumber, Epoch, LedgerId};

/// A lease that no test outlives.
pub(crate) const LONG_MS: u64 = 600_000;
pub(crate) const TABLE: &str = "onceflow-keys";

/// A server of its own, ended with the value; it also ends when this process does, by the end of
/// its standard input.
pub(crate) struct Server {
    process: Child,
    pub(crate) port: u16,
    folder: Option<PathBuf>,
}

impl Server {
    /// In memory, or in `folder`. `None`: it isn't installed.
    pub(crate) fn start(folder: Option<&Path>) -> Option<Self> {
        // Somebody else may take the port in between.
        (0..5).find_map(|_| Self::start_at(free_port(), folder).transpose()).map(|it| it.unwrap())
    }

    fn start_at(port: u16, folder: Option<&Path>) -> Result<Option<Self>, String> {
        let Some(home) = std::env::var_os("ONCEFLOW_DYNAMODB") else { return Ok(None) };
        let home = PathBuf::from(home);
        let mut command = Command::new("java");
        command
            .args(["-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .arg(format!("-Djava.library.path={}", home.join("libs").display()))
            .arg("-cp")
            .arg(format!("{0}/libs/*:{0}/classes", home.display()))
            .args(["Local", "-disableTelemetry", "-port", &port.to_string()]);
        match folder {
            None => command.arg("-inMemory"),
            Some(folder) => command.arg("-dbPath").arg(folder),
        };
        let process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let process = process.spawn().map_err(|error| format!("java: {error}"))?;
        let mut server = Self { process, port, folder: folder.map(Path::to_owned) };
        let mut lines = BufReader::new(server.process.stdout.take().unwrap()).lines();
        let ready = lines.by_ref().map_while(Result::ok).any(|line| line == "ready");
        // What it goes on to say must be read, or it would wait.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(ready.then_some(server))
    }

    /// `kill -9`, and started again with the same folder at the same port.
    pub(crate) fn kill_and_start_again(&mut self) {
        self.kill();
        let (port, folder) = (self.port, self.folder.clone());
        *self = Self::start_at(port, folder.as_deref()).unwrap().unwrap();
    }

    pub(crate) fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// `STOP` or `CONT`: it neither answers nor refuses.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.process.id().to_string();
        let done = Command::new("kill").args(["-s", name, &pid]).status().unwrap();
        assert!(done.success());
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The line that the runner counts.
pub(crate) fn skip(test: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {test} (DynamoDB Local isn't installed)");
}

/// A database: each access key has one of its own.
#[derive(Clone)]
pub(crate) struct Database {
    pub(crate) url: String,
    key: String,
}

/// A database on the server that all tests share; `None`, and said so, where it isn't installed.
pub(crate) fn database(test: &str) -> Option<Database> {
    static SHARED: OnceLock<Option<Server>> = OnceLock::new();
    let Some(server) = SHARED.get_or_init(|| Server::start(None)) else {
        skip(test);
        return None;
    };
    Some(Database::new(&server.url(), test))
}

impl Database {
    pub(crate) fn new(url: &str, test: &str) -> Self {
        let key = test.chars().filter(char::is_ascii_alphanumeric).collect();
        Self { url: url.to_owned(), key }
    }

    /// The same, at another address: a proxy's.
    pub(crate) fn at(&self, url: &str) -> Self {
        Self { url: url.to_owned(), key: self.key.clone() }
    }

    pub(crate) fn options(&self) -> DynamoOptions {
        let mut options = DynamoOptions::new(TABLE);
        options.endpoint = DynamoEndpoint::Url(self.url.clone());
        options.region = Some("us-east-1".into());
        options.credentials = Some((self.key.clone(), "secret".into()));
        options.create_table = true;
        // On a busy machine a first answer may take long.
        options.attempt_max = Duration::from_secs(10);
        options.patience = Duration::from_secs(30);
        options
    }

    /// A worker's store, joined.
    pub(crate) fn store(&self) -> DynamoStore {
        let store = DynamoStore::connect(self.options()).unwrap();
        store.join(&scope()).unwrap();
        store
    }

    /// The SDK's client, to look into the table from outside.
    pub(crate) fn client(&self) -> Client {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .endpoint_url(&self.url)
            .credentials_provider(Credentials::new(&self.key, "secret", None, None, "test"))
            .build();
        Client::from_conf(config)
    }
}

/// For the SDK's own client.
pub(crate) fn wait<T>(work: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
    });
    runtime.block_on(work)
}

pub(crate) fn scope() -> SharedScope {
    SharedScope { name: "orders".into(), fields: 1, across_types: false, secret: [7; 16] }
}

pub(crate) fn joined(store: &DynamoStore) -> Joined {
    store.join(&scope()).unwrap()
}

/// Batch `number` of worker `worker`.
pub(crate) fn batch(worker: u128, number: u64) -> BatchRef {
    BatchRef { worker: LedgerId(worker), pipe: 1, epoch: Epoch(1), number: BatchNumber(number) }
}

/// A key at a time, with a window.
pub(crate) fn ask(key: u128, recorded_ms: i64, window_ms: i64) -> Asked {
    Asked { key, recorded_ms, window_ms, body_hash: key as u64 ^ 0xabc }
}

/// Keys `from..to` at one time.
pub(crate) fn asks(keys: std::ops::Range<u128>, recorded_ms: i64) -> Vec<Asked> {
    keys.map(|key| ask(key, recorded_ms, 60_000)).collect()
}

pub(crate) fn duplicate(of: Asked) -> Answer {
    let Asked { recorded_ms, window_ms, body_hash, .. } = of;
    Answer::Duplicate { recorded_ms, window_ms, body_hash }
}

/// Reserves and commits.
pub(crate) fn settle(store: &impl Store, batch: BatchRef, keys: &[Asked]) {
    let answers = store.reserve(batch, LONG_MS, keys).unwrap();
    assert!(answers.iter().all(|answer| *answer == Answer::Reserved), "{answers:?}");
    assert_eq!(store.commit(batch).unwrap(), BatchState::Committed);
}

pub(crate) fn fault<T: std::fmt::Debug>(result: Result<T, StoreError>) -> StoreFault {
    result.unwrap_err().fault
}

/// Asks until the answer is something else than busy; every question is one to the server.
pub(crate) fn until_not_busy(
    store: &impl Store,
    batch: BatchRef,
    lease_ms: u64,
    key: Asked,
) -> Answer {
    let began = Instant::now();
    loop {
        let answer = store.reserve(batch, lease_ms, &[key]).unwrap()[0];
        if !matches!(answer, Answer::Busy { .. }) {
            return answer;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "still busy");
    }
}
