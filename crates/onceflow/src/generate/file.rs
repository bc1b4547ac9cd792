//! Events to a file or to standard output.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use super::lambda::Payload;
use super::maker::Maker;
use super::order::Order;
use super::pace::{Pace, Stopwatch};
use super::template::Sort;

/// Bytes that are handed to the output at once.
const WRITE_BYTES: usize = 256 * 1024;

/// How often somebody is told how far it is.
pub(crate) const TELL_EVERY: Duration = Duration::from_millis(200);

/// How events stand in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// One a line.
    Lines,
    /// A line is the payload of a Lambda function.
    KinesisLambda {
        /// At most.
        records_per_payload: u64,
    },
}

/// What was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Made {
    /// Events that differ from each other.
    pub(crate) new: u64,
    /// Exact copies of them.
    pub(crate) duplicates: u64,
    /// Copies with another body.
    pub(crate) other_bodies: u64,
    /// Of all of these: events whose time lies behind.
    pub(crate) late: u64,
    /// Payload bytes; in files, what was written.
    pub(crate) bytes: u64,
}

impl Made {
    /// Events in all.
    pub(crate) fn events(&self) -> u64 {
        self.new + self.duplicates + self.other_bodies
    }

    /// Counts one event.
    pub(crate) fn count(&mut self, sort: Sort, late: bool) {
        match sort {
            Sort::New => self.new += 1,
            Sort::Copy => self.duplicates += 1,
            Sort::OtherBody { .. } => self.other_bodies += 1,
        }
        self.late += u64::from(late);
    }
}

/// Writes the events of `order`. `progress` is told now and then how many there are.
pub(crate) fn write(
    maker: &mut Maker,
    order: Order,
    format: Format,
    (pace, watch): (&mut Pace, &mut dyn Stopwatch),
    out: &mut dyn Write,
    progress: &dyn Fn(u64),
) -> io::Result<Made> {
    let mut told = Instant::now();
    let mut made = Made::default();
    let mut buffer = Vec::with_capacity(WRITE_BYTES + 16 * 1024);
    let mut payload = match format {
        Format::Lines => None,
        Format::KinesisLambda { records_per_payload } => {
            Some((Payload::new(records_per_payload), Vec::new()))
        }
    };
    let mut due = 0;
    for item in order {
        if due == 0 {
            if pace.is_set() && !buffer.is_empty() {
                // Who reads along sees events when they are due.
                hand_over(&mut buffer, &mut made, out)?;
                out.flush()?;
            }
            due = pace.due(watch);
        }
        due -= 1;
        made.count(item.sort, maker.generator().late_ms(item.number) > 0);
        match &mut payload {
            None => {
                maker.make(item, &mut buffer);
                buffer.push(b'\n');
            }
            Some((payload, event)) => {
                event.clear();
                maker.make(item, event);
                let key = maker.partition_key(event).unwrap_or("0".into());
                let arrived_ms = maker.generator().on_time_ms(made.events() - 1);
                payload.add(event, &key, arrived_ms, &mut buffer);
            }
        }
        if buffer.len() >= WRITE_BYTES {
            hand_over(&mut buffer, &mut made, out)?;
            if told.elapsed() > TELL_EVERY {
                told = Instant::now();
                progress(made.events());
            }
        }
    }
    if let Some((payload, _)) = &mut payload {
        payload.end(&mut buffer);
    }
    hand_over(&mut buffer, &mut made, out)?;
    out.flush()?;
    Ok(made)
}

fn hand_over(buffer: &mut Vec<u8>, made: &mut Made, out: &mut dyn Write) -> io::Result<()> {
    made.bytes += buffer.len() as u64;
    out.write_all(buffer)?;
    buffer.clear();
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::path::Path;

    use super::super::order::Amount;
    use super::super::pace::RealTime;
    use super::*;
    use crate::generate::{Late, load};

    const SPEC: &str = "key: id\ncommon: { id: uuid, n: sequence, at: epoch_millis, x: { integer: [1, 9] } }\n\
         types: { a: 1, b: { fields: { y: first_name } } }\n";

    fn text(spec: &str, amount: Amount, format: Format) -> (String, Made) {
        let spec = load(Path::new("e.yml"), spec).unwrap();
        let mut maker = Maker::new(&spec, &amount, format != Format::Lines, None);
        let mut out = Vec::new();
        let mut watch = RealTime::start();
        let pace = (&mut Pace::new(None), &mut watch as &mut dyn Stopwatch);
        let made = write(&mut maker, Order::new(&amount), format, pace, &mut out, &|_| ()).unwrap();
        assert_eq!((made.bytes, made.events()), (out.len() as u64, amount.events));
        (String::from_utf8(out).unwrap(), made)
    }

    fn events(text: &str) -> Vec<serde_json::Value> {
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    const AMOUNT: Amount =
        Amount { events: 5000, duplicates: 500, other_bodies: 100, late: None, seed: 8 };

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
        let lines = |amount| text(SPEC, amount, Format::Lines).0;
        assert_eq!(lines(AMOUNT), lines(AMOUNT));
        assert_ne!(lines(AMOUNT), lines(Amount { seed: 9, ..AMOUNT }));
    }

    #[test]
    fn copies_with_another_body_have_the_key_of_an_earlier_event() {
        let (text, made) = text(SPEC, AMOUNT, Format::Lines);
        assert_eq!((made.new, made.duplicates, made.other_bodies), (4400, 500, 100));
        let mut originals: HashMap<String, serde_json::Value> = HashMap::new();
        let (mut same, mut other) = (0, 0);
        for event in events(&text) {
            let key = event["id"].as_str().unwrap().to_owned();
            match originals.get(&key) {
                None => {
                    originals.insert(key, event);
                }
                Some(original) if *original == event => same += 1,
                Some(original) => {
                    assert_eq!(original["at"], event["at"]);
                    let field = if original.get("y").is_some() { "y" } else { "x" };
                    assert_ne!(original[field], event[field], "the last field that can differ");
                    other += 1;
                }
            }
        }
        assert_eq!((originals.len(), same, other), (4400, 500, 100));
    }

    #[test]
    fn late_events_lie_behind_and_are_else_the_same() {
        let late = Late { of: 1 << 30, by_ms: 90_000 };
        let on_time = events(&text(SPEC, AMOUNT, Format::Lines).0);
        let (some_late, made) = text(SPEC, Amount { late: Some(late), ..AMOUNT }, Format::Lines);
        let (mut count, mut of_b) = (0, 0);
        for (on_time, mut event) in on_time.into_iter().zip(events(&some_late)) {
            let by = on_time["at"].as_i64().unwrap() - event["at"].as_i64().unwrap();
            assert!(by == 0 || by == 90_000, "{by}");
            count += u64::from(by > 0);
            of_b += u64::from(by > 0 && event.get("y").is_some());
            event["at"] = on_time["at"].clone();
            assert_eq!(event, on_time);
        }
        assert_eq!(count, made.late);
        assert!((1100..1400).contains(&count), "a quarter of 5000: {count}");
        assert!((count * 2 / 5..count * 3 / 5).contains(&of_b), "of both types: {of_b} of {count}");
    }

    #[test]
    fn a_payload_for_lambda_holds_the_same_events() {
        let spec = format!("encode: [url, base64]\n{SPEC}");
        let amount = Amount { events: 250, duplicates: 20, ..AMOUNT };
        let plain = text(&spec, amount, Format::Lines).0;
        let format = Format::KinesisLambda { records_per_payload: 100 };
        let payloads = events(&text(&spec, amount, format).0);
        let records: Vec<_> =
            payloads.iter().flat_map(|payload| payload["Records"].as_array().unwrap()).collect();
        let sizes: Vec<_> =
            payloads.iter().map(|payload| payload["Records"].as_array().unwrap().len()).collect();
        assert_eq!(sizes, [100, 100, 50]);
        for (record, line) in records.iter().zip(plain.lines()) {
            let kinesis = &record["kinesis"];
            let data = kinesis["data"].as_str().unwrap();
            let event = base64_simd::STANDARD.decode_to_vec(data).unwrap();
            assert_eq!(event, line.as_bytes());
            let inner = base64_simd::STANDARD.decode_to_vec(line).unwrap();
            assert!(inner.starts_with(b"%7B%22id%22%3A%22"));
            let key = kinesis["partitionKey"].as_str().unwrap();
            assert!(String::from_utf8(inner).unwrap().contains(key));
            let id =
                format!("shardId-000000000000:{}", kinesis["sequenceNumber"].as_str().unwrap());
            assert_eq!(record["eventID"], id);
            assert_eq!(record["eventSource"], "aws:kinesis");
            assert!(kinesis["approximateArrivalTimestamp"].as_f64().unwrap() > 1.7e9);
        }
    }
}
