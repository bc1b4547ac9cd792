//! A server that runs, and an AWS SDK client for it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::kit::{Said, World, signal};

/// Everything that a test waits for must be there after so long, however slow the machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// `onceflow serve`, running.
pub(crate) struct Served {
    child: Child,
    said: Option<Said>,
    pub(crate) at: SocketAddr,
}

impl Served {
    /// Starts it on a free port, with more words after `serve`.
    pub(crate) fn start(world: &World, words: &[&str]) -> Served {
        Served::start_at(world, "127.0.0.1:0", words)
    }

    pub(crate) fn start_at(world: &World, listen: &str, words: &[&str]) -> Served {
        let words: Vec<&str> = ["serve", "--listen", listen].iter().chain(words).copied().collect();
        let mut command = world.command(&words);
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut said = Said::of(&mut child);
        said.wait_for("listening on http://");
        let line = said.seen.last().unwrap();
        let address = line.split("http://").nth(1).unwrap().split(',').next().unwrap();
        Served { child, at: address.parse().unwrap(), said: Some(said) }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.at)
    }

    /// A page: its status and its text.
    pub(crate) fn page(&self, path: &str) -> (u16, String) {
        self.try_page(path).expect("the server answers")
    }

    fn try_page(&self, path: &str) -> std::io::Result<(u16, String)> {
        let mut server = TcpStream::connect(self.at)?;
        server.set_read_timeout(Some(PATIENCE))?;
        write!(server, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.at)?;
        let mut answer = String::new();
        server.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Ok((status, body.to_owned()))
    }

    /// The value of one sample of the metrics page, like `onceflow_keys{scope="app"}`; 0 when it
    /// isn't there.
    pub(crate) fn metric(&self, sample: &str) -> f64 {
        let (_, page) = self.page("/metrics");
        let value = |line: &str| line.strip_prefix(sample)?.strip_prefix(' ')?.parse().ok();
        page.lines().find_map(value).unwrap_or(0.0)
    }

    /// Events of a pipe with an outcome.
    pub(crate) fn outcome(&self, pipe: &str, outcome: &str) -> u64 {
        let sample = format!("onceflow_events_total{{pipe=\"{pipe}\",outcome=\"{outcome}\"}}");
        self.metric(&sample) as u64
    }

    /// Waits until `so` says yes.
    pub(crate) fn wait_until(&self, what: &str, so: impl Fn(&Served) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !so(self) {
            let page = self.page("/metrics").1;
            assert!(Instant::now() < until, "never {what}: {page}");
            // Asking costs little, and the machine has other things to do.
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; how it ended and what it said.
    pub(crate) fn stop(mut self) -> (i32, String) {
        signal(&self.child, Signal::TERM);
        let said = self.said.take().unwrap().rest();
        (self.child.wait().unwrap().code().unwrap_or(-1), said)
    }
}

impl Drop for Served {
    /// A test that failed leaves no server behind.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The interpreter that has the AWS CLI, boto3 and DuckDB, or a line that counts as skipped.
pub(crate) fn python(test: &str) -> Option<String> {
    let python = std::env::var("ONCEFLOW_PYTHON").ok().filter(|path| !path.is_empty());
    if python.is_none() {
        let line = format!("skipped: {test} (ONCEFLOW_PYTHON isn't set; `make test` sets it)\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
    python
}

/// AWS SDK clients of a server.
pub(crate) struct Sdk {
    runtime: tokio::runtime::Runtime,
    sqs: aws_sdk_sqs::Client,
    kinesis: aws_sdk_kinesis::Client,
}

impl Sdk {
    pub(crate) fn new(served: &Served) -> Sdk {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let credentials = aws_sdk_sqs::config::Credentials::new("test", "test", None, None, "test");
        let sqs = aws_sdk_sqs::Config::builder()
            .behavior_version(aws_sdk_sqs::config::BehaviorVersion::latest())
            .region(aws_sdk_sqs::config::Region::new("us-east-1"))
            .credentials_provider(credentials.clone())
            .endpoint_url(served.endpoint())
            .build();
        let kinesis = aws_sdk_kinesis::Config::builder()
            .behavior_version(aws_sdk_kinesis::config::BehaviorVersion::latest())
            .region(aws_sdk_kinesis::config::Region::new("us-east-1"))
            .credentials_provider(credentials)
            .endpoint_url(served.endpoint())
            .build();
        Sdk {
            runtime,
            sqs: aws_sdk_sqs::Client::from_conf(sqs),
            kinesis: aws_sdk_kinesis::Client::from_conf(kinesis),
        }
    }

    pub(crate) fn queue_url(&self, queue: &str) -> String {
        let call = self.sqs.get_queue_url().queue_name(queue).send();
        self.runtime.block_on(call).unwrap().queue_url().unwrap().to_owned()
    }

    /// The error's code, if the service refused the message.
    pub(crate) fn send(&self, queue_url: &str, body: &str) -> Result<(), String> {
        let call = self.sqs.send_message().queue_url(queue_url).message_body(body).send();
        let answer = self.runtime.block_on(call);
        answer.map(drop).map_err(|error| error.into_service_error().to_string())
    }

    pub(crate) fn delete_queue(&self, queue_url: &str) {
        let call = self.sqs.delete_queue().queue_url(queue_url).send();
        self.runtime.block_on(call).unwrap();
    }

    pub(crate) fn create_queue(&self, queue: &str, attributes: &[(&str, &str)]) {
        let mut call = self.sqs.create_queue().queue_name(queue);
        for (name, value) in attributes {
            call = call.attributes((*name).into(), *value);
        }
        self.runtime.block_on(call.send()).unwrap();
    }

    /// The error's code, if the service refused the record.
    pub(crate) fn put(&self, stream: &str, data: &[u8]) -> Result<(), String> {
        let blob = aws_sdk_kinesis::primitives::Blob::new(data);
        let call =
            self.kinesis.put_record().stream_name(stream).partition_key("k").data(blob).send();
        let answer = self.runtime.block_on(call);
        answer.map(drop).map_err(|error| error.into_service_error().to_string())
    }

    /// Puts a record; its sequence number.
    pub(crate) fn put_at(&self, stream: &str, data: &[u8]) -> String {
        let blob = aws_sdk_kinesis::primitives::Blob::new(data);
        let call =
            self.kinesis.put_record().stream_name(stream).partition_key("k").data(blob).send();
        self.runtime.block_on(call).unwrap().sequence_number().to_owned()
    }
}
