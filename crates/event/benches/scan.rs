//! How fast a payload is scanned: GB/s and ns per event, against sonic-rs.
//!
//! `cargo bench -p event --bench scan`
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
            a >> 50 & 0xfff,
            b & 0xfff,
            b >> 12 & 0xffff_ffff_ffff
        )
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.next(of.len() as u64) as usize]
    }
}

fn event(n: &mut Numbers, city: &str) -> String {
    let specifics = match n.next(3) {
        0 => format!(
            r#"{{"language_id":"{}","score":{}}}"#,
            n.one(&["en", "de", "fr", "pt-BR"]),
            n.next(5000)
        ),
        1 => format!(
            r#"{{"language_id":"{}","level":"{}","won":true}}"#,
            n.one(&["en", "de"]),
            n.one(&["easy", "intermediate", "hard"])
        ),
        _ => format!(r#"{{"amount":{}.{:02},"currency":"EUR"}}"#, n.next(300), n.next(100)),
    };
    format!(
        r#"{{"event_uuid":"{}","event_name":"{}","created_at":{},"user_id":"{}","event_specifics":{},"app_version":"{}.{}.{}","platform":"{}","city":"{}"}}"#,
        n.uuid(),
        n.one(&[
            "game:resumed",
            "game:started",
            "game:finished",
            "payment:failed",
            "lesson:opened"
        ]),
        1_700_000_000 + n.next(10_000_000),
        n.uuid(),
        specifics,
        n.next(9),
        n.next(30),
        n.next(12),
        n.one(&["IPAD_EVENT", "IPHONE_EVENT", "IOT_EVENT"]),
        city,
    )
}

fn measure(name: &str, bytes: usize, events: usize, mut run: impl FnMut() -> usize) {
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..10 {
                assert_eq!(black_box(run()), events);
            }
            start.elapsed().as_secs_f64() / 10.0
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let median = times[ROUNDS / 2];
    println!(
        "  {name:<32} {:>6.2} GB/s  {:>6.0} ns/event",
        bytes as f64 / median / 1e9,
        median * 1e9 / events as f64
    );
}

fn compare(title: &str, lines: &[String]) {
    let buffer: Vec<u8> = lines.iter().flat_map(|l| l.bytes().chain([b'\n'])).collect();
    let mut at = 0;
    let spans: Vec<(usize, usize)> = lines
        .iter()
        .map(|l| {
            let s = at;
            at += l.len() + 1;
            (s, s + l.len())
        })
        .collect();
    let bytes = buffer.len();
    println!("{title}: {} events, {} B each", lines.len(), bytes / lines.len());
    for paths in [
        &["$.event_uuid"][..],
        &["$.event_uuid", "$.event_name", "$.created_at"],
        &["$.event_uuid", "$.event_specifics.language_id"],
    ] {
        let selection =
            Selection::new(&paths.iter().map(|p| FieldPath::parse(p).unwrap()).collect::<Vec<_>>());
        let mut found = Found::default();
        measure(&format!("scan, {} paths", paths.len()), bytes, lines.len(), || {
            spans
                .iter()
                .filter(|(s, e)| {
                    let json = &buffer[*s..*e];
                    selection.scan(json, &mut found).is_ok() && found.get(json, 0).is_some()
                })
                .count()
        });
    }
    if std::env::var("ONLY").is_ok() {
        return;
    }
    measure("sonic-rs get_from_slice, 1 path", bytes, lines.len(), || {
        spans
            .iter()
            .filter(|(s, e)| sonic_rs::get_from_slice(&buffer[*s..*e], &["event_uuid"]).is_ok())
            .count()
    });
    measure("sonic-rs LazyValue, all", bytes, lines.len(), || {
        spans
            .iter()
            .filter(|(s, e)| sonic_rs::from_slice::<sonic_rs::LazyValue>(&buffer[*s..*e]).is_ok())
            .count()
    });
    measure("sonic-rs to_object_iter, all", bytes, lines.len(), || {
        spans
            .iter()
            .filter(|(s, e)| sonic_rs::to_object_iter(&buffer[*s..*e]).all(|m| m.is_ok()))
            .count()
    });
}

fn main() {
    let mut n = Numbers(0x9e37_79b9_7f4a_7c15);
    let lines: Vec<String> = (0..EVENTS)
        .map(|_| {
            let c = ["Oslo", "Amsterdam", "Wien"][n.next(3) as usize];
            event(&mut n, c)
        })
        .collect();
    compare("compact", &lines);
    let spaced: Vec<String> =
        lines.iter().map(|l| l.replace("\":", "\": ").replace(",\"", ", \"")).collect();
    compare("with spaces", &spaced);
    let umlauts: Vec<String> =
        (0..EVENTS).map(|_| event(&mut n, "Zürich-Örlikon, Straße 12")).collect();
    compare("not ASCII", &umlauts);
}
