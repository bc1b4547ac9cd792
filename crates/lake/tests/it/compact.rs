//! Compaction without crashes.

use journal::SimDisk;
use lake::CompactOptions;

use crate::fake_ledger::FakeLedger;
use crate::json::J;
use crate::table::{
    START, assert_same, columns, compact, event, events, files, lake, options, payloads, rows,
    stage,
};

fn names(disk: &SimDisk) -> Vec<String> {
    let columns = columns(disk);
    columns.iter().map(|c| format!("{}: {}", c.column, c.kind.name())).collect()
}

#[test]
fn staging_files_become_a_table_in_order_of_event_time() {
    let payload = |id: i64, lang: &str| {
        format!(
            r#"{{"id":{id},"at":{},"specifics":{{"lang":"{lang}","n":[1,2]}}}}"#,
            START - id * 7 % 50
        )
    };
    let all: Vec<_> = (0..100)
        .map(|id| event(id, payload(id as i64, ["en", "de", "fr"][id as usize % 3])))
        .collect();
    let disk = lake(&[all[..30].to_vec(), all[30..60].to_vec(), all[60..].to_vec()]);
    let done = compact(&disk, &options()).unwrap();
    assert_eq!((done.rows, done.inputs, done.files_out, done.partitions), (100, 1, 3, 3));
    assert!(done.rescued.is_empty() && !done.nothing_to_do, "{done:?}");
    assert_same(&disk, &all);
    let rows = rows(&disk);
    for pair in rows
        .windows(2)
        .filter(|pair| pair[0].file == pair[1].file && pair[0].folder == pair[1].folder)
    {
        assert!((pair[0].event_us, pair[0].recorded_ms) <= (pair[1].event_us, pair[1].recorded_ms));
    }
    for row in &rows {
        let J::Obj(members) = row.payload.normal() else { panic!() };
        let text = J::Obj(members).write();
        let lang = row.folder.strip_prefix("year=2026/month=11/day=02/lang=").unwrap();
        assert!(text.contains(&format!(r#""lang":"{lang}""#)), "{text} in {}", row.folder);
        let id = (row.key.unwrap() >> 64) as u64;
        assert!(text.contains(&format!("\"id\":{id},")));
        assert_eq!(row.recorded_ms, START + id as i64);
        assert_eq!((row.window_ms, row.shard.as_str()), (300_000, "file:test"));
        assert_eq!(row.marks, i32::from(id.is_multiple_of(3)));
        assert_eq!(row.event_us.unwrap() / 1000, START - id as i64 * 7 % 50);
    }
    assert_eq!(names(&disk), ["id: int64", "at: int64", "specifics: struct"]);
    assert!(!disk.files().iter().any(|(path, _)| path.to_str().unwrap().ends_with(".ndjson")));
    assert!(!disk.files().iter().any(|(path, _)| path.to_str().unwrap().ends_with(".keys")));
    assert!(compact(&disk, &options()).unwrap().nothing_to_do);
}

#[test]
fn a_value_that_does_not_fit_its_column_is_rescued_and_named() {
    let payloads_in = [
        r#"{"a":1,"b":{"c":"x"},"l":[1,2]}"#,
        r#"{"a":"text","b":{"c":5},"l":[1,"two",3]}"#,
        r#"{"a":1.5,"b":[],"l":{}}"#,
        r#"{"a":9223372036854775808,"b":{"c":"\ud800"}}"#,
        r#"{"a":2,"a":3,"a":4}"#,
        r#"{"e":{},"f":[],"g":null,"h":[null]}"#,
        r#"{"":1,"A":2,"_rescued":3,"year":4,"lang":5,"x.y":6,"größe":7}"#,
    ];
    let disk = lake(&[events(&payloads_in[..1])]);
    let mut ledger = FakeLedger::new();
    let disk2 = SimDisk::new(1);
    stage(&disk2, &mut ledger, &[events(&payloads_in)]);
    drop(disk);
    let done = compact(&disk2, &options()).unwrap();
    assert_same(&disk2, &events(&payloads_in));
    let kinds: Vec<String> =
        done.rescued.iter().map(|f| format!("{} {} {}", f.column, f.found, f.rows)).collect();
    // Both sorts of numbers were there when the column was made.
    assert_eq!(
        kinds,
        [
            "$.a a field that stands twice, the column is float64 2",
            "$.a beyond what a double holds, the column is float64 1",
            "$.a text, the column is float64 1",
            "$.b an array, the column is struct 1",
            "$.b.c a number, the column is utf8 1",
            "$.b.c half a surrogate pair, the column is utf8 1",
            "$.e an object, no column 1",
            "$.f an array, no column 1",
            "$.h an array, no column 1",
            "$.l an object, the column is list 1",
            "$.l[] text, the column is int64 1",
        ]
    );
    assert_eq!(done.rows_rescued, 5);
    assert_eq!(
        names(&disk2),
        [
            "a: float64",
            "b: struct",
            "l: list",
            "_field: int64",
            "A_field: int64",
            "_rescued_field: int64",
            "year_field: int64",
            "lang_field: int64",
            "x.y: int64",
            "größe: int64"
        ]
    );
}

#[test]
fn the_schema_belongs_to_the_table_and_grows() {
    let disk = SimDisk::new(1);
    let mut ledger = FakeLedger::new();
    let first = events(&[r#"{"a":1,"s":{"x":1}}"#, r#"{"b":"t","l":[{"p":1}]}"#]);
    stage(&disk, &mut ledger, std::slice::from_ref(&first));
    compact(&disk, &options()).unwrap();
    let second = events(&[
        r#"{"n":true,"a":1.5,"s":{"y":"new","x":"no"},"l":[{"q":false},{"p":"no"}]}"#,
        r#"{"a":2,"b":7}"#,
    ]);
    stage(&disk, &mut ledger, std::slice::from_ref(&second));
    let done = compact(&disk, &options()).unwrap();
    assert_eq!(done.columns_added, ["$.n: bool", "$.s.y: utf8", "$.l[].q: bool"]);
    assert_eq!(done.rows_rescued, 2);
    assert_same(&disk, &[first, second].concat());
    assert_eq!(names(&disk), ["a: int64", "s: struct", "b: utf8", "l: list", "n: bool"]);
}

#[test]
fn a_tiny_memory_bound_spills_and_gives_the_same() {
    let payload = |id: u64| {
        let at = START + (id as i64 * 7919) % 500 * 864_000;
        let lang = ["en", "de", "fr", "it"][id as usize % 4];
        format!(
            r#"{{"id":{id},"at":{at},"specifics":{{"lang":"{lang}"}},"fill":"{}"}}"#,
            "x".repeat(id as usize % 700)
        )
    };
    let all: Vec<_> = (0..6000).map(|id| event(id, payload(id))).collect();
    let batches: Vec<_> = all.chunks(25).map(<[_]>::to_vec).collect();
    let order = |options: &CompactOptions| {
        let disk = lake(&batches);
        let done = compact(&disk, options).unwrap();
        let rows: Vec<_> =
            rows(&disk).into_iter().map(|row| (row.folder, row.key, row.offset)).collect();
        (done, rows)
    };
    let (plain, expected) = order(&options());
    assert_eq!((plain.bytes_spilled, plain.rows), (0, 6000));
    let tiny = CompactOptions { memory_bytes_max: 1 << 20, ..options() };
    let (spilled, found) = order(&tiny);
    // 3 MB in runs of 256 KiB, of which four are merged at a time.
    assert!(spilled.bytes_spilled > 2 * spilled.bytes_in, "{}", spilled.bytes_spilled);
    assert!(expected == found);
    let (_, found) = order(&CompactOptions { threads: 3, ..tiny });
    assert!(expected == found);
    let (small, mut found) = order(&CompactOptions { file_bytes_target: 4_000, ..options() });
    assert!(small.files_out > plain.files_out);
    found.dedup();
    assert!(expected == found);
}

#[test]
fn new_values_past_the_bound_go_to_other_for_that_day() {
    let of = |first: u64, langs: &[&str]| -> Vec<_> {
        let one = |(id, lang): (u64, &&str)| {
            event(id, format!(r#"{{"id":{id},"at":{START},"specifics":{{"lang":{lang}}}}}"#))
        };
        (first..).zip(langs).map(one).collect()
    };
    let options = CompactOptions { partitions_open_max: 2, ..options() };
    let disk = SimDisk::new(1);
    let mut ledger = FakeLedger::new();
    let first = of(1, &[r#""a""#, "null", r#""b""#, r#""c""#, r#""a""#]);
    stage(&disk, &mut ledger, std::slice::from_ref(&first));
    let done = compact(&disk, &options).unwrap();
    assert_eq!(done.other_partitions.len(), 1);
    assert_eq!(
        (done.other_partitions[0].rows, done.other_partitions[0].example.as_str()),
        (1, "c")
    );
    let second = of(10, &[r#""c""#, r#""b""#, r#""d""#]);
    stage(&disk, &mut ledger, std::slice::from_ref(&second));
    // It stays there, also with a larger bound.
    let more = CompactOptions { partitions_open_max: 100, ..options };
    assert_eq!(compact(&disk, &more).unwrap().other_partitions[0].rows, 2);
    let folders: std::collections::BTreeSet<String> = rows(&disk)
        .into_iter()
        .map(|row| row.folder.rsplit_once('/').unwrap().1.to_owned())
        .collect();
    let folders: Vec<_> = folders.iter().map(String::as_str).collect();
    assert_eq!(folders, ["lang=__HIVE_DEFAULT_PARTITION__", "lang=__other__", "lang=a", "lang=b"]);
    assert_same(&disk, &[first, second].concat());
}

#[test]
fn rows_that_are_no_json_objects_are_rescued_whole() {
    let disk = lake(&[events(&["[1,2]", "7", "{broken", "", r#"{"a":1}"#])]);
    let done = compact(&disk, &options()).unwrap();
    assert_eq!((done.rows, done.rows_rescued), (5, 4));
    let mut rescued: Vec<_> = rows_raw(&disk);
    rescued.sort();
    assert_eq!(
        rescued,
        ["{\"$\":7}", "{\"$\":[1,2]}", "{\"$text\":\"\"}", "{\"$text\":\"{broken\"}"]
    );
}

fn rows_raw(disk: &SimDisk) -> Vec<String> {
    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    let mut all = Vec::new();
    for bytes in files(disk).into_values() {
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(
            bytes::Bytes::from(bytes),
        );
        for batch in reader.unwrap().build().unwrap() {
            let batch = batch.unwrap();
            let column = batch.column_by_name("_rescued").unwrap().as_string::<i32>().clone();
            all.extend(
                (0..column.len())
                    .filter(|at| !column.is_null(*at))
                    .map(|at| column.value(at).to_owned()),
            );
        }
    }
    let _ = payloads;
    all
}

/// With the embedded ledger there are none: one that is found is an imbalance.
#[test]
fn a_key_twice_within_its_window_is_kept_and_reported() {
    // Events 2, 4, 5 and 7 carry no mark. The window is 300 s.
    let twins: Vec<_> =
        [(2, 0), (2, 299_999), (4, 0), (4, 300_000), (3, 0), (3, 1), (5, 0), (7, 0)]
            .into_iter()
            .map(|(id, later)| {
                let mut event = event(id, format!(r#"{{"id":{id},"later":{later}}}"#));
                event.received_ms += later;
                event
            })
            .collect();
    let batches: Vec<_> = twins.iter().map(|event| vec![event.clone()]).collect();
    for memory_bytes_max in [64 << 10, 256 << 20] {
        let disk = lake(&batches);
        let fill: Vec<_> = (100..900)
            .map(|id| event(id * 4, format!(r#"{{"id":{id},"fill":"{id:090}"}}"#)))
            .collect();
        let mut ledger = FakeLedger::new();
        let disk = if memory_bytes_max > 1 << 20 {
            disk
        } else {
            let disk = SimDisk::new(1);
            stage(
                &disk,
                &mut ledger,
                &[batches.clone(), fill.chunks(50).map(<[_]>::to_vec).collect()].concat(),
            );
            disk
        };
        let options = CompactOptions { memory_bytes_max, ..options() };
        let done = compact(&disk, &options).unwrap();
        assert_eq!((done.bytes_spilled > 0, done.rows_duplicate), (memory_bytes_max < 1 << 20, 1));
        let found = &done.duplicates[0];
        assert_eq!(
            (found.recorded_ms, found.window_ms),
            ([START + 2, START + 2 + 299_999], 300_000)
        );
        assert_eq!(found.key, format!("{:032x}", 2_u128 << 64));
        assert_eq!(rows(&disk).iter().filter(|row| row.key == Some(2 << 64)).count(), 2);
    }
}

#[test]
fn p7_a_full_disk_changes_nothing_and_compaction_works_once_there_is_room() {
    let all: Vec<_> = (0..200)
        .map(|id| event(id, format!(r#"{{"id":{id},"s":"{:x}"}}"#, id * 7_919_993)))
        .collect();
    let start = lake(&all.chunks(20).map(<[_]>::to_vec).collect::<Vec<_>>());
    let whole = start.after_process_kill();
    compact(&whole, &options()).unwrap();
    let mut refused = 0;
    for op in 0..whole.ops() {
        let disk = start.after_process_kill();
        disk.fail_at(disk.ops() + op, journal::Fault::NoSpace);
        match compact(&disk, &options()) {
            Ok(_) => {}
            Err(error) => {
                refused += u32::from(error.is_no_space());
                compact(&disk, &options())
                    .unwrap_or_else(|again| panic!("{op}: {error}, then {again}"));
            }
        }
        assert_same(&disk, &all);
        assert!(!disk.files().iter().any(|(path, _)| path.to_str().unwrap().contains(".tmp")));
    }
    assert!(refused > 5, "{refused}");
}

#[test]
fn a_file_that_is_not_what_its_sidecar_says_is_named_and_nothing_is_touched() {
    for (ending, change) in [
        (".ndjson", "cut"),
        (".ndjson", "longer"),
        (".ndjson", "newline"),
        (".keys", "cut"),
        (".keys", "flip"),
        (".keys", "gone"),
        (".keys", "header"),
    ] {
        let disk = lake(&[events(&[r#"{"a":1}"#, r#"{"a":2}"#]), events(&[r#"{"a":3}"#])]);
        let (path, len) = disk
            .files()
            .into_iter()
            .find(|(path, _)| path.to_str().unwrap().ends_with(ending))
            .unwrap();
        let file = journal::Disk::open(&disk, &path).unwrap();
        match change {
            "cut" => file.set_len(len - 1).unwrap(),
            "longer" => file.write_at(len, b"{}\n").unwrap(),
            "newline" => file.write_at(3, b"\n").unwrap(),
            "flip" => assert!(disk.flip_bit(&path, len - 3)),
            "header" => file.write_at(0, b"X").unwrap(),
            _ => journal::Disk::unlink(&disk, &path).unwrap(),
        }
        let before: Vec<_> = disk
            .files()
            .into_iter()
            .filter(|(path, _)| !path.starts_with("/lake/_onceflow"))
            .collect();
        let error = compact(&disk, &options()).unwrap_err();
        assert!(matches!(error, lake::CompactError::Input { .. }), "{ending} {change}: {error}");
        let stem = path.file_stem().unwrap().to_str().unwrap().trim_start_matches('_').to_owned();
        assert!(error.to_string().contains(&stem), "{error}");
        let after: Vec<_> = disk
            .files()
            .into_iter()
            .filter(|(path, _)| !path.starts_with("/lake/_onceflow"))
            .collect();
        assert_eq!(before, after, "{ending} {change}");
    }
}

#[test]
fn what_the_ledger_may_still_look_for_waits() {
    let disk = lake(&[events(&[r#"{"a":1}"#])]);
    let shared: std::sync::Arc<dyn journal::Disk> = std::sync::Arc::new(disk.clone());
    let clock = event::TestClock::new(START);
    let stop = event::source::Stop::default();
    let run = |published: &dyn Fn(&str) -> bool, stop: &event::source::Stop| {
        lake::compact::compact_locked(
            &shared,
            "/lake".as_ref(),
            &options(),
            &clock,
            published,
            &lake::Quiet,
            stop,
        )
    };
    let done = run(&|name| !name.ends_with(".keys"), &stop).unwrap();
    assert!(done.nothing_to_do && done.waiting == 1 && files(&disk).is_empty());
    let asked = event::source::Stop::default();
    asked.ask();
    assert!(matches!(run(&|_| true, &asked), Err(lake::CompactError::Stopped)));
    assert!(files(&disk).is_empty());
    assert_eq!(run(&|_| true, &stop).unwrap().rows, 1);
}

/// The publisher renames rows, then their sidecar: a compaction that lists the folder in between,
/// and asks the ledger after both, must not take the sidecar for lost.
#[test]
fn a_sidecar_that_gets_its_name_while_the_folder_is_listed_is_found() {
    let disk = lake(&[events(&[r#"{"a":1}"#])]);
    let keys = disk.files().into_iter().map(|(path, _)| path);
    let keys = keys.into_iter().find(|path| path.extension().is_some_and(|e| e == "keys")).unwrap();
    let hidden = keys.with_extension("hidden");
    journal::Disk::rename(&disk, &keys, &hidden).unwrap();
    let shared: std::sync::Arc<dyn journal::Disk> = std::sync::Arc::new(disk.clone());
    let published = |name: &str| {
        if name.ends_with(".ndjson") {
            journal::Disk::rename(&disk, &hidden, &keys).unwrap();
        }
        true
    };
    let done = lake::compact::compact_locked(
        &shared,
        "/lake".as_ref(),
        &options(),
        &event::TestClock::new(START),
        &published,
        &lake::Quiet,
        &event::source::Stop::default(),
    );
    assert_eq!(done.unwrap().rows, 1);
}

#[test]
fn another_partitioning_is_refused_and_so_are_limits_out_of_bounds() {
    use lake::{CompactError, PartitionField};
    let disk = lake(&[events(&[r#"{"a":1}"#])]);
    compact(&disk, &options()).unwrap();
    let other = CompactOptions { partition: vec![PartitionField::Year], ..options() };
    let mut ledger = FakeLedger::new();
    ledger.epoch = 5;
    stage(&disk, &mut ledger, &[events(&[r#"{"a":2}"#])]);
    let error = compact(&disk, &other).unwrap_err();
    assert!(matches!(error, CompactError::Partition { .. }), "{error}");
    assert!(
        error.to_string().contains("year, month, day, $.specifics.lang, the config says year"),
        "{error}"
    );
    for wrong in [
        CompactOptions { file_bytes_target: (1 << 30) + 1, ..options() },
        CompactOptions { memory_bytes_max: 1000, ..options() },
        CompactOptions { threads: 0, ..options() },
        CompactOptions { partition: vec![PartitionField::Day, PartitionField::Day], ..options() },
    ] {
        assert!(matches!(compact(&disk, &wrong), Err(CompactError::Option { .. })));
    }
    assert_eq!(compact(&disk, &options()).unwrap().rows, 1);
    assert!(matches!(compact(&SimDisk::new(1), &options()), Err(CompactError::NoLake { .. })));
}

#[test]
fn two_compactions_of_a_lake_refuse_each_other() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("_onceflow")).unwrap();
    let lock = lake::CompactLock::take(folder.path()).unwrap();
    let disk: std::sync::Arc<dyn journal::Disk> = std::sync::Arc::new(journal::RealDisk::new());
    let (clock, stop) = (event::SystemClock, event::source::Stop::default());
    let run =
        || lake::compact(&disk, folder.path(), &options(), &clock, &|_| true, &lake::Quiet, &stop);
    let error = run().unwrap_err();
    assert!(matches!(error, lake::CompactError::Locked { .. }), "{error}");
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    drop(lock);
    assert!(run().unwrap().nothing_to_do);
}

#[test]
fn threads_share_a_large_partition_in_order_of_time() {
    // Many rows of the same time, so that a stretch may not begin among them.
    let payload = |id: u64| {
        let at = START + (id as i64 * 7919) % 1000 / 10 * 60_000;
        format!(r#"{{"id":{id},"at":{at},"fill":"{:0100}"}}"#, id)
    };
    let all: Vec<_> = (0..4000).map(|id| event(id, payload(id))).collect();
    let batches: Vec<_> = all.chunks(40).map(<[_]>::to_vec).collect();
    let order = |threads: usize, memory_bytes_max: u64| {
        let partition = vec![lake::PartitionField::Year];
        let disk = lake(&batches);
        let options = CompactOptions { partition, threads, memory_bytes_max, ..options() };
        let done = compact(&disk, &options).unwrap();
        let rows: Vec<_> = rows(&disk).into_iter().map(|row| (row.event_us, row.key)).collect();
        assert!(rows.is_sorted_by_key(|row| row.0));
        (done.files_out, done.bytes_spilled > 0, rows)
    };
    let (files, spilled, expected) = order(1, 256 << 20);
    assert_eq!((files, spilled, expected.len()), (1, false, 4000));
    for memory in [64 << 10, 256 << 10, 4 << 20] {
        let (files, spilled, found) = order(3, memory);
        assert_eq!((files > 1, spilled), (memory < 4 << 20 || files > 1, memory < 4 << 20));
        assert!(found == expected, "{memory}");
    }
}
