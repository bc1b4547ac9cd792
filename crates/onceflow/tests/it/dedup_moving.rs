//! Moving in: `dedup export`, `dedup import`, a ledger that was lost, a key that changes.

use std::process::{Child, Command, Stdio};

use crate::kit::*;

const PIPE: &str = "pipe: app\n\
                    source: { file: { path: in.ndjson } }\n\
                    dedup: { key: $.id, window: 10m }\n\
                    sink: { file: { path: out.ndjson } }\n";

fn events(numbers: std::ops::Range<u32>) -> String {
    numbers.map(|n| format!("{{\"id\":\"e{n}\",\"chan\":\"c{}\"}}\n", n % 3)).collect()
}

fn lines(world: &World, file: &str) -> usize {
    world.read(file).iter().filter(|byte| **byte == b'\n').count()
}

fn world() -> World {
    let world = World::new();
    world.write("app.yaml", PIPE);
    world.write("in.ndjson", events(0..100));
    world
}

#[test]
fn p2_an_export_moves_keys_into_another_data_folder() {
    let world = world();
    world.ok(&["run", "app.yaml"]);
    world.write("other.yaml", PIPE.replace("out.ndjson", "other.ndjson"));
    for form in ["ndjson", "csv"] {
        let (file, folder) = (format!("keys.{form}"), format!("folder-{form}"));
        world.ok(&["dedup", "export", "app.yaml", "--format", form, "--out", &file]);
        let mode = std::fs::metadata(world.path(&file)).unwrap();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o777, 0o600);
        for _ in 0..2 {
            let done = world.ok(&["dedup", "import", &file, "--data-dir", &folder]);
            assert!(done.stdout.contains("100 keys imported into scope app"), "{done:?}");
        }
        world.ok(&["run", "other.yaml", "--data-dir", &folder]);
        assert_eq!(lines(&world, "other.ndjson"), 0, "all of them are known");
        std::fs::remove_file(world.path("other.ndjson")).unwrap();
    }
    // Another secret is refused by name.
    world.ok(&["run", "other.yaml", "--data-dir", "third"]);
    let refused = world.run(&["dedup", "import", "keys.ndjson", "--data-dir", "third"]);
    refused.expect(1, &["scope app", "another secret"]);
}

#[test]
fn what_is_wrong_with_a_file_is_named_with_its_line() {
    let world = world();
    world.ok(&["run", "app.yaml"]);
    world.ok(&["dedup", "export", "app.yaml", "--out", "keys.ndjson"]);
    let text = String::from_utf8(world.read("keys.ndjson")).unwrap();
    let cut: String = text.split_inclusive('\n').take(50).collect();
    world.write("cut.ndjson", cut);
    let import = |file: &str, more: &[&str]| {
        let words = ["dedup", "import", file, "--data-dir", "new"];
        world.run(&words.into_iter().chain(more.iter().copied()).collect::<Vec<_>>())
    };
    import("cut.ndjson", &[]).expect(1, &["cut.ndjson:50", "cut off"]);
    world.write("bad.ndjson", "{\"id\":1}\n\n{\"x\":1}\n");
    import("bad.ndjson", &["--config", "app.yaml"]).expect(1, &["bad.ndjson:3", "$.id"]);
    world.write("bad.csv", "id,when\na,2026-01-01T00:00:00Z\nb,tomorrow\n");
    let timed = ["--config", "app.yaml", "--time-field", "$.when"];
    import("bad.csv", &timed).expect(1, &["bad.csv:3", "$.when"]);
    import("nothing", &["--config", "app.yaml"]).expect(1, &["nothing"]);
    import("bad.ndjson", &[]).expect(2, &["--scope"]);
}

#[test]
fn p2_key_values_of_a_plain_file_are_recognised() {
    let world = world();
    world.write("keys.csv", "id\ne0\ne1\ne2\n");
    let config = ["--config", "app.yaml", "--data-dir", "onceflow-data"];
    let words: Vec<&str> = ["dedup", "import", "keys.csv"].into_iter().chain(config).collect();
    let dry: Vec<&str> = words.iter().copied().chain(["--dry-run"]).collect();
    assert!(world.ok(&dry).stdout.contains("3 keys would be imported"));
    assert!(!world.path("onceflow-data").exists(), "a dry run leaves nothing behind");
    world.ok(&words);
    world.ok(&["run", "app.yaml"]);
    assert_eq!(lines(&world, "out.ndjson"), 97);
}

#[test]
fn p2_a_ledger_that_was_lost_is_rebuilt_from_the_lake() {
    let world = world();
    world.write(
        "app.yaml",
        PIPE.replace("file: { path: out.ndjson }", "lake: { path: lake, compact: on_request }"),
    );
    world.ok(&["run", "app.yaml"]);
    let before = world.lake_rows("lake");
    assert_eq!(before.len(), 100);
    std::fs::remove_dir_all(world.path("onceflow-data")).unwrap();
    // A new ledger doesn't get at the lake by itself.
    world.run(&["run", "app.yaml"]).expect(4, &["belongs to ledger", "--from-lake"]);
    std::fs::remove_dir_all(world.path("onceflow-data")).unwrap();
    let import = ["dedup", "import", "--from-lake", "lake", "--config", "app.yaml", "--take-over"];
    let said = world.ok(&import).stdout;
    for words in ["100 keys imported", "Not restored", "message ids", "--hold"] {
        assert!(said.contains(words), "`{words}` isn't in {said}");
    }
    world.ok(&import);
    world.ok(&["run", "app.yaml"]);
    assert_eq!(world.lake_rows("lake"), before, "nothing is twice in the lake");
    // The table holds the same keys as columns.
    world.ok(&["compact", "app.yaml"]);
    std::fs::remove_dir_all(world.path("onceflow-data")).unwrap();
    assert!(world.ok(&import).stdout.contains("100 keys imported"));
    world.ok(&["run", "app.yaml"]);
    assert_eq!(world.lake_rows("lake").len(), 0, "all rows are in the table, and no new ones");
}

#[test]
fn p2_a_new_key_is_refused_until_it_is_agreed_to_and_then_old_keys_count_for_their_window() {
    let world = world();
    world.write("clock", "0");
    let clocked = ["--test-clock", "clock"];
    let run = |more: &[&str]| {
        let words = ["run", "app.yaml"].into_iter().chain(clocked).chain(more.iter().copied());
        world.run(&words.collect::<Vec<_>>())
    };
    run(&[]).expect(0, &[]);
    world.write("app.yaml", PIPE.replace("key: $.id", "key: [$.chan, $.id]"));
    let words = ["1 field and the type", "2 fields and the type", "--new-key"];
    run(&[]).expect(3, &words);
    world.write("in.ndjson", events(0..110));
    run(&["--new-key"]).expect(0, &[]);
    assert_eq!(lines(&world, "out.ndjson"), 110, "old ones are recognised");
    run(&["--reread"]).expect(0, &[]);
    assert_eq!(lines(&world, "out.ndjson"), 110);
    world.write("clock", "1200000");
    run(&["--reread"]).expect(0, &[]);
    assert_eq!(lines(&world, "out.ndjson"), 220, "after the window they are new");
}

/// A Redis of the test's own.
struct Redis(Child);

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn p2_keys_of_a_redis_dump_are_recognised() {
    let world = world();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let port = port.to_string();
    let mut server = Command::new("redis-server");
    server.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--dbfilename", "dump.rdb"]);
    server.arg("--dir").arg(world.path("")).stdout(Stdio::null());
    let Ok(server) = server.spawn() else {
        let mut stderr = std::io::stderr();
        let _ = std::io::Write::write_all(&mut stderr, b"skipped: redis-server (not installed)\n");
        return;
    };
    let _server = Redis(server);
    let long = "x".repeat(200);
    let commands = format!(
        "SET event:e0 1 NX EX 600\r\nSET event:e1 1 NX EX 600\r\nSET event:e2 1\r\n\
         SET event:{long} 1 EX 60\r\nSET event:77 1 EX 60\r\nSET other:e3 1\r\nRPUSH l a b\r\n\
         HSET h a b\r\nSADD s a 1\r\nZADD z 1 a\r\nXADD x * a b\r\nSAVE\r\nQUIT\r\n"
    );
    let mut redis = loop {
        match std::net::TcpStream::connect(format!("127.0.0.1:{port}")) {
            Ok(redis) => break redis,
            Err(_) => std::thread::yield_now(),
        }
    };
    std::io::Write::write_all(&mut redis, commands.as_bytes()).unwrap();
    let mut answers = String::new();
    std::io::Read::read_to_string(&mut redis, &mut answers).unwrap();
    assert!(!answers.contains("-ERR"), "{answers}");
    let dump =
        ["dedup", "import", "dump.rdb", "--config", "app.yaml", "--key-pattern", "event:{key}"];
    let said = world.ok(&dump).stdout;
    for words in ["5 keys imported", "6 of other kinds", "1 that never expire"] {
        assert!(said.contains(words), "`{words}` isn't in {said}");
    }
    world.ok(&["run", "app.yaml"]);
    assert_eq!(lines(&world, "out.ndjson"), 97, "e0, e1 and e2 are known");
    let whole = world.read("dump.rdb");
    world.write("cut.rdb", &whole[..whole.len() - 20]);
    let dump = dump.map(|word| if word == "dump.rdb" { "cut.rdb" } else { word });
    world.run(&dump).expect(1, &["cut.rdb", "cut off"]);
}
