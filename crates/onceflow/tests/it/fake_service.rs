//! A stand-in for Kinesis and SQS that answers as a test says: for what a real service does only
//! under load or in trouble.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// A request, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The action, without its service.
    pub(crate) action: String,
    pub(crate) body: Value,
    /// From 0.
    pub(crate) number: usize,
}

/// What to say.
pub(crate) enum Answer {
    Ok(Value),
    /// Status and body.
    Error(u16, Value),
    /// Nothing: the connection is closed.
    Silence,
}

/// Listens until the test ends.
pub(crate) struct FakeService {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl FakeService {
    /// `answer` is asked for each request, also by several connections at once.
    pub(crate) fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (Arc::clone(&requests), Arc::new(answer));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                std::thread::spawn(move || serve(client.unwrap(), &seen, &*answer));
            }
        });
        FakeService { url, requests }
    }

    /// What came so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn serve(client: TcpStream, seen: &Mutex<Vec<Request>>, answer: &dyn Fn(&Request) -> Answer) {
    let mut reader = BufReader::new(client);
    while let Some((action, body)) = read(&mut reader) {
        let request = {
            let mut seen = seen.lock().unwrap();
            let request = Request { action, body, number: seen.len() };
            seen.push(request.clone());
            request
        };
        let (status, body) = match answer(&request) {
            Answer::Ok(body) => (200, body),
            Answer::Error(status, body) => (status, body),
            Answer::Silence => return,
        };
        let body = body.to_string();
        let answer = format!(
            "HTTP/1.1 {status} Answer\r\ncontent-type: application/x-amz-json-1.1\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        if reader.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// The next request of a connection; `None` when it ends.
fn read(reader: &mut BufReader<TcpStream>) -> Option<(String, Value)> {
    let (mut action, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        let Some((name, value)) = line.split_once(':') else { continue };
        match name.to_lowercase().as_str() {
            "x-amz-target" => action = value.trim().rsplit('.').next().unwrap().to_owned(),
            "content-length" => length = value.trim().parse().unwrap(),
            "expect" => panic!("100-continue isn't spoken here"),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((action, serde_json::from_slice(&body).unwrap()))
}
