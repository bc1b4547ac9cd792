//! Real Redis servers for the tests of the store: each on a port of its own, in a temporary folder,
//! ended by the test that started it.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use dedup::store::redis::{RedisOptions, RedisStore};
use dedup::store::{Asked, BatchRef, SharedScope, Store as _};
use event::{BatchNumber, Epoch, LedgerId};

pub(crate) const WINDOW_MS: i64 = 600_000;
pub(crate) const LEASE_MS: u64 = 30_000;

/// Whether servers can be started; says so if not.
pub(crate) fn have(test: &str) -> bool {
    let found = Command::new("redis-server")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if found.is_ok() {
        return true;
    }
    let _ = writeln!(std::io::stderr(), "skipped: {test} (redis-server isn't installed)");
    false
}

/// A port that is free, and so is the one 10,000 above it, which a cluster wants too.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port =
            12_000 + (std::process::id() as u16).wrapping_mul(31).wrapping_add(step) % 10_000;
        let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if free(port) && free(port + 10_000) {
            return port;
        }
    }
}

/// A server, and how to start it again.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) folder: tempfile::TempDir,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    child: Option<Child>,
}

impl Server {
    /// Starts one with nothing on disk, and `arguments` more.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut server = Self::new(arguments);
        server.run();
        server
    }

    pub(crate) fn new(arguments: &[&str]) -> Self {
        Self {
            port: free_port(),
            folder: tempfile::tempdir().unwrap(),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            environment: Vec::new(),
            child: None,
        }
    }

    pub(crate) fn with_env(mut self, name: &str, value: &Path) -> Self {
        self.environment.push((name.to_owned(), value.to_str().unwrap().to_owned()));
        self
    }

    /// Starts it, again if it ran before, and waits until it answers.
    pub(crate) fn run(&mut self) {
        self.spawn();
        let until = Instant::now() + Duration::from_secs(20);
        let plain = !self.arguments.iter().any(|argument| argument == "--tls-port");
        while Instant::now() < until {
            let up = std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok();
            if up && (!plain || self.answers()) {
                return;
            }
            std::thread::yield_now();
        }
        panic!("redis-server on port {} doesn't answer", self.port);
    }

    fn answers(&self) -> bool {
        let Ok(client) = redis::Client::open(format!("redis://127.0.0.1:{}", self.port)) else {
            return false;
        };
        let Ok(mut connection) = client.get_connection() else { return true };
        match redis::cmd("PING").query::<String>(&mut connection) {
            Ok(_) => true,
            Err(error) => error.code() != Some("LOADING"),
        }
    }

    pub(crate) fn spawn(&mut self) {
        let port = self.port.to_string();
        let tls = self.arguments.iter().any(|argument| argument == "--tls-port");
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", if tls { "0" } else { &port }]);
        command.args(["--dir", self.folder.path().to_str().unwrap(), "--daemonize", "no"]);
        command.args(["--save", "", "--enable-debug-command", "local"]);
        command.args(self.arguments.iter().map(|argument| argument.replace("PORT", &port)));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null());
        self.child = Some(command.spawn().unwrap());
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    pub(crate) fn options(&self) -> RedisOptions {
        RedisOptions::parse(&self.url()).unwrap()
    }

    /// A connection for the test itself.
    pub(crate) fn admin(&self) -> redis::Connection {
        let client = redis::Client::open(self.url()).unwrap();
        client.get_connection_with_timeout(Duration::from_secs(10)).unwrap()
    }

    /// A store on it that joined the scope `test`.
    pub(crate) fn store(&self) -> RedisStore {
        joined(self.options())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Three nodes with all slots between them.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Server>,
}

impl Cluster {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let cluster =
            ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-config-file"];
        let mut all: Vec<&str> = cluster.to_vec();
        all.push("nodes.conf");
        all.extend(arguments);
        let nodes: Vec<Server> = (0..3).map(|_| Server::start(&all)).collect();
        let first = nodes[0].port;
        for (n, (node, slots)) in
            nodes.iter().zip([(0, 5460), (5461, 10_922), (10_923, 16_383)]).enumerate()
        {
            let mut admin = node.admin();
            let (from, to) = slots;
            let mut say = |parts: &[String]| {
                let mut command = redis::cmd("CLUSTER");
                command.arg(parts).exec(&mut admin).unwrap();
            };
            say(&["ADDSLOTSRANGE".into(), from.to_string(), to.to_string()]);
            say(&["SET-CONFIG-EPOCH".into(), (n + 1).to_string()]);
            if n > 0 {
                say(&["MEET".into(), "127.0.0.1".into(), first.to_string()]);
            }
        }
        let cluster = Self { nodes };
        cluster.wait_until_whole();
        cluster
    }

    /// Waits until every node says that the cluster is whole.
    pub(crate) fn wait_until_whole(&self) {
        let until = Instant::now() + Duration::from_secs(30);
        let whole = |node: &Server| {
            let info: String =
                redis::cmd("CLUSTER").arg("INFO").query(&mut node.admin()).unwrap_or_default();
            info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
        };
        while !self.nodes.iter().all(whole) {
            assert!(Instant::now() < until, "the cluster doesn't come up");
            std::thread::yield_now();
        }
    }

    pub(crate) fn options(&self) -> RedisOptions {
        let hosts: Vec<_> =
            self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        RedisOptions::parse(&format!("redis-cluster://{}", hosts.join(","))).unwrap()
    }
}

pub(crate) fn scope() -> SharedScope {
    SharedScope { name: "test".into(), fields: 1, across_types: false, secret: [7; 16] }
}

/// A store that joined the scope `test`.
pub(crate) fn joined(options: RedisOptions) -> RedisStore {
    let store = RedisStore::connect(options).unwrap();
    store.join(&scope()).unwrap();
    store
}

pub(crate) fn batch(worker: u128, number: u64) -> BatchRef {
    BatchRef { worker: LedgerId(worker), pipe: 0, epoch: Epoch(1), number: BatchNumber(number) }
}

/// A key that is spread as keys are, at a time.
pub(crate) fn asked(n: u64, recorded_ms: i64) -> Asked {
    let mixed = (u128::from(n) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    let key = mixed ^ mixed.rotate_left(61);
    Asked { key, recorded_ms, window_ms: WINDOW_MS, body_hash: n }
}

pub(crate) fn many(numbers: std::ops::Range<u64>, recorded_ms: i64) -> Vec<Asked> {
    numbers.map(|n| asked(n, recorded_ms)).collect()
}
