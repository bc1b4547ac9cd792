//! The walk of the README: real edits into a lake, again, and with `--reread`.

use std::io::Read;

use crate::kit::World;

/// The input's rows, sorted.
pub(crate) fn edits(world: &World) -> Vec<Vec<u8>> {
    let file = world.read("data/wikipedia-edits-2015-09-12.ndjson.gz");
    let mut text = Vec::new();
    flate2::read::MultiGzDecoder::new(&file[..]).read_to_end(&mut text).unwrap();
    let mut rows: Vec<Vec<u8>> =
        text.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    rows.sort();
    rows
}

#[test]
fn p1_p2_every_edit_is_in_the_lake_once_as_it_came() {
    let world = World::with_edits_as_they_came();
    let first = world.ok(&["run", "wikipedia.yaml"]);
    assert!(first.stderr.contains("39,244 received = 39,244 delivered"), "{}", first.stderr);
    let rows = world.lake_rows("lake/wikipedia");
    assert_eq!(rows.len(), 39_244);
    assert!(rows == edits(&world), "the lake's rows differ from the input's");

    let again = world.ok(&["run", "wikipedia.yaml"]);
    assert!(again.stderr.contains("was read to its end"), "{}", again.stderr);
    assert!(again.stderr.contains("0 received"), "{}", again.stderr);

    let reread = world.summary(&["run", "wikipedia.yaml", "--reread"]);
    let pipe = &reread["pipes"][0];
    assert_eq!(pipe["received"], 39_244);
    assert_eq!(pipe["outcomes"]["duplicate"], 39_244);
    assert_eq!(pipe["outcomes"]["delivered"], 0);
    assert!(world.lake_rows("lake/wikipedia") == rows, "--reread changed the lake");
}

#[test]
fn a_run_that_ends_leaves_a_table_and_says_so_in_the_report() {
    let world = World::with_examples();
    world.ok(&["run", "wikipedia.yaml"]);
    assert!(!world.lake_has_staging("lake/wikipedia"), "NDJSON is left");
    let report = world.ok(&["report", "wikipedia.yaml", "--json"]).stdout;
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let table = &report["tables"][0];
    assert_eq!((&table["rows"], &table["staging_files"]), (&39_244.into(), &0.into()), "{table:#}");
    assert_eq!(report["errors"], serde_json::json!([]));
    // What was delivered is in the table, and is remembered all the same.
    let reread = world.summary(&["run", "wikipedia.yaml", "--reread"]);
    assert_eq!(reread["pipes"][0]["outcomes"]["duplicate"], 39_244);
    let again = world.ok(&["compact", "wikipedia.yaml"]).stdout;
    assert!(again.contains("up to date"), "{again}");
}
