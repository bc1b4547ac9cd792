//! SIGKILL at random moments while AWS SDK clients send into a stream and a queue, two pipes with
//! one scope read them, and the table is compacted. The clients know what was acknowledged.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant, SystemTime};

use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field;

use crate::kit::{World, files};
use crate::served::Served;

const CLOCK: &str = "clock";
/// The last digit is the seed: the last two send the same events.
const CLIENTS: [u32; 4] = [1, 2, 3, 13];

/// The demo's two app pipes, compacting all the time.
fn world() -> World {
    let world = World::with_examples();
    let config = String::from_utf8(world.read("demo.yaml")).unwrap();
    let pipes: Vec<&str> = config.split("---\n").take(2).collect();
    let often = "partition: [year, month, day], compact_every: 1s";
    let partition = "partition: [year, month, day, event_specifics.language_id]";
    assert!(pipes.iter().all(|pipe| pipe.contains(partition)));
    world.write("load.yaml", pipes.join("---\n").replace(partition, often));
    world.write(CLOCK, "0");
    world
}

fn serve(world: &World, listen: &str) -> Served {
    let words = ["load.yaml", "--shard-records-in-per-s", "0", "--test-clock", CLOCK];
    Served::start_at(world, listen, &words)
}

/// Sends until it is killed: more events than the test can take.
fn client(world: &World, at: &str, number: u32, to: &str) -> Child {
    let (seed, file) = ((number % 10).to_string(), format!("acknowledged-{number}.txt"));
    let endpoint = format!("http://{at}");
    let words = [
        "generate",
        "event_config.yml",
        "--events",
        "100M",
        "--rate",
        "2000",
        "--duplicates",
        "10%",
        "--seed",
        &seed,
        "--to",
        to,
        "--endpoint",
        &endpoint,
        "--connections",
        "2",
        "--retry-for",
        "120s",
        "--acknowledged",
        &file,
    ];
    let mut command = world.command(&words);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// How often each key lies in the table.
fn keys(table: &Path) -> HashMap<String, u32> {
    let mut keys = HashMap::new();
    for path in files(table).iter().filter(|path| path.extension().is_some_and(|e| e == "parquet"))
    {
        let file = SerializedFileReader::new(std::fs::File::open(path).unwrap()).unwrap();
        for row in file.get_row_iter(None).unwrap() {
            let row = row.unwrap();
            let key = row.get_column_iter().find(|(name, _)| *name == "event_uuid");
            let Some((_, Field::Str(key))) = key else { panic!("no key: {row}") };
            *keys.entry(key.clone()).or_default() += 1;
        }
    }
    keys
}

#[test]
fn p1_p2_a_kill_under_load_of_sdk_clients_loses_nothing_and_doubles_nothing() {
    let kills: u32 = match std::env::var("ONCEFLOW_LOAD_KILLS") {
        Ok(text) => text.parse().expect("ONCEFLOW_LOAD_KILLS is a number"),
        Err(_) => 4,
    };
    let mut seed = match std::env::var("ONCEFLOW_SEED") {
        Ok(text) => text.parse().expect("ONCEFLOW_SEED is a number"),
        Err(_) => SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64,
    };
    println!("ONCEFLOW_SEED={seed}");
    let world = world();
    let mut served = serve(&world, "127.0.0.1:0");
    let at = served.at.to_string();
    let (stream, queue) = ("stream:app-events", "queue:app-events");
    let mut clients: Vec<Child> = CLIENTS
        .into_iter()
        .zip([stream, queue, stream, queue])
        .map(|(number, to)| client(&world, &at, number, to))
        .collect();
    let began = Instant::now();
    for kill in 1..=kills {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Something of this life is settled, then any moment will do.
        served.wait_until("settles", |served| {
            served.metric("onceflow_events_per_second{pipe=\"app-stream\"}") > 0.0
                || served.outcome("app-stream", "delivered") > 0
        });
        std::thread::park_timeout(Duration::from_millis(seed >> 40 & 0x3ff));
        served.kill();
        // Minutes end, so that files are finished and compacted.
        world.write(CLOCK, (i64::from(kill) * 40_000).to_string());
        served = serve(&world, &at);
    }
    println!("{kills} kills in {:?}", began.elapsed());
    for client in &mut clients {
        client.kill().unwrap();
        client.wait().unwrap();
    }
    served.wait_until("settled", |served| {
        let put = served.metric("onceflow_stream_records_total{stream=\"app-events\"}") as u64;
        let queue = ["visible", "in_flight", "delayed"].map(|state| {
            let of = "onceflow_queue_messages{queue=\"app-events\",state=";
            served.metric(&format!("{of}\"{state}\"}}")) as u64
        });
        let outcomes = ["delivered", "duplicate", "filtered", "rejected"];
        let settled: u64 = outcomes.iter().map(|name| served.outcome("app-stream", name)).sum();
        let in_flight = ["app-stream", "app-queue"]
            .map(|pipe| served.metric(&format!("onceflow_events_in_flight{{pipe=\"{pipe}\"}}")));
        settled >= put && queue == [0; 3] && in_flight == [0.0; 2]
    });
    let (code, said) = served.stop();
    assert_eq!(code, 0, "{said}");
    world.ok(&["compact", "load.yaml"]);
    let report = world.ok(&["report", "load.yaml", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
    assert_eq!(report["imbalances"], serde_json::json!([]));

    let keys = keys(&world.path("lake/app/table"));
    let twice: Vec<_> = keys.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "{} keys are there twice, e.g. {:?}", twice.len(), twice[0]);
    let mut acknowledged = 0_u64;
    for number in CLIENTS {
        let text = world.read(&format!("acknowledged-{number}.txt"));
        for key in String::from_utf8(text).unwrap().lines() {
            acknowledged += 1;
            assert!(
                keys.contains_key(key),
                "{key} was acknowledged to client {number} and is lost"
            );
        }
    }
    let delivered: u64 = report["pipes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pipe| pipe["outcomes"]["delivered"].as_u64().unwrap())
        .sum();
    assert_eq!(delivered, keys.len() as u64, "the ledger and the table differ");
    println!("{acknowledged} acknowledged, {} different keys in the table", keys.len());
    assert!(acknowledged > 0 && !world.lake_has_staging("lake/app"));
}
