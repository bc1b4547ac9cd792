//! How fast a payload is scanned, against sonic-rs: GB/s and ns per event of CPU time, the median
//! of five rounds and the best one.
//!
//! `cargo bench -p event --bench scan [-- FILE.ndjson]`; with a file, its lines are scanned, too.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::hint::black_box;
use std::time::Instant;

use event::json::{Found, Selection};
use event::path::FieldPath;

const EVENTS: usize = 20_000;
const ROUNDS: usize = 5;
const PASSES_PER_ROUND: usize = 10;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("nothing measured: this is for `cargo bench`");
        return;
    }
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let events = (0..EVENTS).map(|_| {
        let city = numbers.one(&["Oslo", "Amsterdam", "Wien"]);
        event(&mut numbers, city)
    });
    let events: Vec<String> = events.collect();
    compare("compact", &events);
    let spaced = events.iter().map(|event| event.replace("\":", "\": ").replace(",\"", ", \""));
    compare("with spaces", &spaced.collect::<Vec<_>>());
    let umlauts = (0..EVENTS).map(|_| event(&mut numbers, "Zürich-Örlikon, Straße 12"));
    compare("not ASCII", &umlauts.collect::<Vec<_>>());
    let escaped = (0..EVENTS).map(|_| event(&mut numbers, r"Z\u00fcrich\/\u00d6rlikon"));
    compare("with escapes", &escaped.collect::<Vec<_>>());
    for file in arguments.iter().filter(|argument| !argument.starts_with('-')) {
        let text = std::fs::read_to_string(file).expect("a file of lines");
        compare(file, &text.lines().map(str::to_owned).collect::<Vec<_>>());
    }
}

/// A fixed sequence of numbers that look random (xorshift), so that every run sees the same input.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % below
    }

    fn uuid(&mut self) -> String {
        let (a, b) = (self.next(u64::MAX), self.next(u64::MAX));
        format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            a as u32,
            (a >> 32) as u16,
            a >> 48 & 0xfff,
            b & 0xfff,
            b >> 12 & 0xffff_ffff_ffff
        )
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.next(of.len() as u64) as usize]
    }
}

fn event(numbers: &mut Numbers, city: &str) -> String {
    let specifics = match numbers.next(3) {
        0 => format!(
            r#"{{"language_id":"{}","score":{}}}"#,
            numbers.one(&["en", "de", "fr", "pt-BR"]),
            numbers.next(5000)
        ),
        1 => format!(
            r#"{{"language_id":"{}","level":"{}","won":true}}"#,
            numbers.one(&["en", "de"]),
            numbers.one(&["easy", "intermediate", "hard"])
        ),
        _ => format!(
            r#"{{"amount":{}.{:02},"currency":"EUR"}}"#,
            numbers.next(300),
            numbers.next(100)
        ),
    };
    let names =
        ["game:resumed", "game:started", "game:finished", "payment:failed", "lesson:opened"];
    format!(
        r#"{{"event_uuid":"{}","event_name":"{}","created_at":{},"user_id":"{}","event_specifics":{},"app_version":"{}.{}.{}","platform":"{}","city":"{}"}}"#,
        numbers.uuid(),
        numbers.one(&names),
        1_700_000_000 + numbers.next(10_000_000),
        numbers.uuid(),
        specifics,
        numbers.next(9),
        numbers.next(30),
        numbers.next(12),
        numbers.one(&["IPAD_EVENT", "IPHONE_EVENT", "IOT_EVENT"]),
        city,
    )
}

fn compare(title: &str, lines: &[String]) {
    let buffer: Vec<u8> = lines.iter().flat_map(|line| line.bytes().chain([b'\n'])).collect();
    let mut at = 0;
    let spans = lines.iter().map(|line| {
        let start = at;
        at += line.len() + 1;
        (start, start + line.len())
    });
    let spans: Vec<(usize, usize)> = spans.collect();
    let (bytes, count) = (buffer.len(), lines.len());
    println!("{title}: {count} events, {} B each", bytes / count);

    let each = |take: &mut dyn FnMut(&[u8]) -> bool| {
        spans.iter().filter(|(start, end)| take(&buffer[*start..*end])).count()
    };
    for paths in [
        &["$.event_uuid"][..],
        &["$.event_uuid", "$.event_name", "$.created_at"],
        &["$.event_uuid", "$.event_specifics.language_id"],
    ] {
        let parsed: Vec<_> = paths.iter().map(|path| FieldPath::parse(path).unwrap()).collect();
        let selection = Selection::new(&parsed);
        let mut found = Found::default();
        measure(&format!("scan {paths:?}"), bytes, count, || {
            each(&mut |json| {
                let valid = selection.scan(json, &mut found).is_ok();
                black_box(found.get(json, 0));
                valid
            })
        });
    }
    measure("sonic-rs get_from_slice (checks no more than it passes)", bytes, count, || {
        each(&mut |json| {
            black_box(sonic_rs::get_from_slice(json, &["event_uuid"]).ok());
            true
        })
    });
    measure("sonic-rs LazyValue (checks all)", bytes, count, || {
        each(&mut |json| sonic_rs::from_slice::<sonic_rs::LazyValue>(json).is_ok())
    });
    measure("sonic-rs to_object_iter (checks all)", bytes, count, || {
        each(&mut |json| sonic_rs::to_object_iter(json).all(|member| member.is_ok()))
    });
}

/// The time that this thread has a core for, where Linux tells it: on a busy machine the time on
/// the wall says little.
struct CpuClock {
    start: Instant,
    cpu_ns: Option<u64>,
}

impl CpuClock {
    fn start() -> CpuClock {
        CpuClock { start: Instant::now(), cpu_ns: CpuClock::cpu_ns() }
    }

    fn cpu_ns() -> Option<u64> {
        std::thread::yield_now(); // The kernel brings the figure up to date when it schedules.
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        text.split_whitespace().next()?.parse().ok()
    }

    fn seconds(&self) -> f64 {
        match (self.cpu_ns, CpuClock::cpu_ns()) {
            (Some(start), Some(end)) => (end - start) as f64 / 1e9,
            _ => self.start.elapsed().as_secs_f64(),
        }
    }
}

fn measure(name: &str, bytes: usize, events: usize, mut run: impl FnMut() -> usize) {
    let mut seconds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let clock = CpuClock::start();
            for _ in 0..PASSES_PER_ROUND {
                assert_eq!(run(), events, "{name}");
            }
            clock.seconds() / PASSES_PER_ROUND as f64
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    let (median, best) = (seconds[ROUNDS / 2], seconds[0]);
    println!(
        "  {:5.2} GB/s {:5.0} ns/event (best {:5.2} GB/s)  {name}",
        bytes as f64 / median / 1e9,
        median * 1e9 / events as f64,
        bytes as f64 / best / 1e9,
    );
}
