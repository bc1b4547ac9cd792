//! Hands events of the parent to the sources' queues and streams, and says which are acknowledged.

use std::io::BufRead;
use std::sync::Arc;

use broker::BrokerError;
use broker::queues::{NewMessage, Queue};
use broker::streams::{NewRecord, Stream};
use bytes::Bytes;
use pipe::Session;
use pipe::config::SourceConfig;

use super::child::say;

/// Events that one call sends at most.
const SENT_MAX: usize = 5;

/// Where events of a pipe go.
enum To {
    Queue(Arc<Queue>),
    Stream(Arc<Stream>),
    /// The parent writes the file itself.
    File,
}

impl To {
    /// Sends, and waits until it is durable.
    fn send(&self, events: &[(u64, Vec<u8>)]) -> Result<(), BrokerError> {
        match self {
            To::Queue(queue) => {
                let message = |(_, body): &(u64, Vec<u8>)| NewMessage {
                    body: Bytes::from(body.clone()),
                    attributes: Vec::new(),
                    delay_s: None,
                    group: None,
                    trace: None,
                };
                queue.send(events.iter().map(message).collect()).wait().map(drop)
            }
            To::Stream(stream) => {
                let record = |(index, data): &(u64, Vec<u8>)| NewRecord {
                    partition_key: index.to_string(),
                    explicit_hash_key: None,
                    data: Bytes::from(data.clone()),
                };
                stream.put(events.iter().map(record).collect()).wait().map(drop)
            }
            To::File => Ok(()),
        }
    }
}

/// Reads lines `number pipe payload` to their end; why some were refused.
pub(super) fn feed(session: &Session, lines: impl BufRead) -> Vec<String> {
    let to: Vec<To> = session.configs().iter().map(|config| target(session, config)).collect();
    let mut refused = Vec::new();
    let mut waiting: Vec<(u64, Vec<u8>)> = Vec::new();
    let mut waiting_for = 0;
    for line in lines.split(b'\n') {
        let Ok(line) = line else { break };
        let mut parts = line.splitn(3, |byte| *byte == b' ');
        let mut number = || std::str::from_utf8(parts.next()?).ok()?.parse::<u64>().ok();
        let (Some(index), Some(pipe)) = (number(), number()) else { continue };
        let payload = parts.next().unwrap_or_default().to_vec();
        if pipe != waiting_for || waiting.len() >= SENT_MAX {
            refused.extend(send(&to, waiting_for, &mut waiting));
            waiting_for = pipe;
        }
        waiting.push((index, payload));
    }
    refused.extend(send(&to, waiting_for, &mut waiting));
    refused
}

fn send(to: &[To], pipe: u64, waiting: &mut Vec<(u64, Vec<u8>)>) -> Option<String> {
    let events = std::mem::take(waiting);
    let to = usize::try_from(pipe).ok().and_then(|pipe| to.get(pipe))?;
    if events.is_empty() || matches!(to, To::File) {
        return None;
    }
    match to.send(&events) {
        Ok(()) => {
            let numbers: Vec<String> = events.iter().map(|(index, _)| index.to_string()).collect();
            say(&format!("acked {}", numbers.join(" ")));
            None
        }
        Err(error) => Some(format!("send: {error}")),
    }
}

fn target(session: &Session, config: &pipe::config::PipeConfig) -> To {
    let Some(broker) = session.broker() else { return To::File };
    match &config.source {
        SourceConfig::Sqs(source) => broker.queues().get(&source.queue).map_or(To::File, To::Queue),
        SourceConfig::Kinesis(source) => {
            broker.streams().get(&source.stream).map_or(To::File, To::Stream)
        }
        SourceConfig::File(_) => To::File,
    }
}
