//! A receiver of events that says no to some of them.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

#[derive(Default)]
struct State {
    refused: BTreeSet<u64>,
    taken: Vec<u64>,
}

/// Takes an event a call; ends with the test's process.
pub(super) struct Receiver {
    at: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Receiver {
    /// One that answers 400 to these ids.
    pub(super) fn refusing(ids: &[u64]) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let state = State { refused: ids.iter().copied().collect(), taken: Vec::new() };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, state) = (client.unwrap(), Arc::clone(&shared));
                std::thread::spawn(move || serve(&client, &state));
            }
        });
        Receiver { at, state }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.at)
    }

    /// It takes everything from now on.
    pub(super) fn repair(&self) {
        self.state.lock().unwrap().refused.clear();
    }

    /// Ids of the events that it took, sorted.
    pub(super) fn taken(&self) -> Vec<u64> {
        let mut taken = self.state.lock().unwrap().taken.clone();
        taken.sort_unstable();
        taken
    }
}

fn serve(client: &TcpStream, state: &Mutex<State>) {
    let mut lines = BufReader::new(client);
    loop {
        let (mut line, mut length) = (String::new(), 0);
        while lines.read_line(&mut line).is_ok_and(|bytes| bytes > 2) {
            let header = line.to_ascii_lowercase();
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            line.clear();
        }
        if length == 0 {
            return;
        }
        let mut body = vec![0; length];
        if lines.read_exact(&mut body).is_err() {
            return;
        }
        let event: Value = serde_json::from_slice(&body).unwrap();
        let id = event["id"].as_u64().unwrap();
        let mut state = state.lock().unwrap();
        let status = if state.refused.contains(&id) {
            "400 Bad Request"
        } else {
            state.taken.push(id);
            "200 OK"
        };
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        if (&*client).write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}
