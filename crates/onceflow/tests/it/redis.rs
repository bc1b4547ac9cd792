//! A real Redis server for tests of the whole program: on a port of its own, in the test's folder,
//! ended by the test that started it.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::kit::World;

/// Everything that a server is asked for is there after so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server, and how to start it again.
pub(crate) struct Redis {
    port: u16,
    folder: std::path::PathBuf,
    child: Option<Child>,
}

impl Redis {
    /// Starts one that keeps everything over a kill; `None` where none is installed, which is said.
    pub(crate) fn start(world: &World, test: &str) -> Option<Self> {
        let mut look = Command::new("redis-server");
        let look = look.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        if look.status().is_err() {
            let line = format!("skipped: {test} (redis-server isn't installed)\n");
            std::io::stderr().write_all(line.as_bytes()).unwrap();
            return None;
        }
        let folder = world.path("redis");
        std::fs::create_dir_all(&folder).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut redis = Self { port, folder, child: None };
        redis.run();
        Some(redis)
    }

    /// Starts it, again after [`Redis::kill`].
    pub(crate) fn run(&mut self) {
        let port = self.port.to_string();
        let words = ["--port", &port, "--bind", "127.0.0.1", "--appendonly", "yes"];
        let mut command = Command::new("redis-server");
        command.args(words).args(["--appendfsync", "always", "--save", ""]);
        command.current_dir(&self.folder).stdin(Stdio::null()).stdout(Stdio::null());
        self.child = Some(command.stderr(Stdio::null()).spawn().unwrap());
        let until = Instant::now() + PATIENCE;
        while self.say("PING").is_none_or(|answer| !answer.contains("PONG")) {
            assert!(Instant::now() < until, "redis-server doesn't answer");
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Stops or continues the process.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        crate::kit::signal(self.child.as_ref().unwrap(), signal);
    }

    /// Says something to it; the beginning of its answer.
    pub(crate) fn say(&self, words: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        stream.write_all(format!("{words}\r\n").as_bytes()).ok()?;
        let mut answer = [0; 512];
        let bytes = stream.read(&mut answer).ok()?;
        Some(String::from_utf8_lossy(&answer[..bytes]).into_owned())
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}
