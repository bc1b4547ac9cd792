//! `report`: counts that balance, storage, warnings.

use crate::kit::{FILE_PIPE, World};

fn json(world: &World) -> serde_json::Value {
    serde_json::from_str(&world.ok(&["report", "--json"]).stdout).unwrap()
}

#[test]
fn p4_what_was_received_is_what_was_accounted_for() {
    let world = World::new();
    world.write(
        "app.yaml",
        format!("{FILE_PIPE}filter: {{ kind: [{{ anything-but: \"noise\" }}] }}\n"),
    );
    world.write(
        "in.ndjson",
        "{\"id\":1,\"kind\":\"a\"}\n{\"id\":1,\"kind\":\"a\"}\n{\"id\":2,\"kind\":\"noise\"}\n{\"id\":\n",
    );
    world.ok(&["run", "app.yaml"]);
    let report = json(&world);
    let side = &report["conservation"][0];
    assert_eq!(side["received"], 4);
    assert_eq!(side["accounted"], 4);
    assert_eq!(side["balanced"], true);
    for (outcome, count) in [("delivered", 1), ("duplicate", 1), ("filtered", 1), ("rejected", 1)] {
        assert_eq!(side["outcomes"][outcome], count, "{outcome}");
    }
    assert_eq!(report["pipes"][0]["duplicates_prevented"], 1);
    assert_eq!(report["pipes"][0]["rejected_by_reason"]["json_broken"], 1);
    assert_eq!(report["imbalances"], serde_json::json!([]));
    let warnings = report["warnings"].to_string();
    assert!(warnings.contains("1 event rejected"), "{warnings}");
    let text = world.ok(&["report", "app.yaml"]).stdout;
    assert!(
        text.contains("4 received = 1 delivered + 1 duplicate + 1 filtered + 1 rejected"),
        "{text}"
    );
    assert!(text.contains("balanced in every minute"), "{text}");
}

#[test]
fn invocations_and_batches_add_up_over_runs() {
    let world = World::new();
    world.write("app.yaml", FILE_PIPE);
    for run in 1..=3_u64 {
        let rows: String = (0..run).map(|id| format!("{{\"id\":{id}}}\n")).collect();
        world.write("in.ndjson", rows);
        world.ok(&["run", "app.yaml"]);
        let report = json(&world);
        assert_eq!(report["pipes"][0]["invocations"], run);
        assert_eq!(report["run"]["state"], "ended");
        assert_eq!(report["errors"], serde_json::json!([]));
    }
}

#[test]
fn p6_storage_over_its_limit_is_warned_of() {
    let world = World::new();
    world.write("app.yaml", format!("{FILE_PIPE}limits: {{ storage_bytes_max: 1MiB }}\n"));
    let rows: String =
        (0..20_000).map(|id| format!("{{\"id\":{id},\"pad\":\"{id:060}\"}}\n")).collect();
    world.write("in.ndjson", &rows);
    world.ok(&["run", "app.yaml"]);
    let report = json(&world);
    assert!(report["warnings"].to_string().contains("storage_bytes_max"), "{}", report["warnings"]);
    let tiers = report["storage"]["tiers"].as_array().unwrap();
    let bytes = |name: &str| {
        let tier = tiers.iter().find(|tier| tier["name"] == name).unwrap();
        tier["bytes"].as_u64().unwrap()
    };
    assert_eq!(bytes("file"), rows.len() as u64);
    assert!(bytes("ledger journal") > 0);
}

#[test]
fn a_run_that_was_killed_shows() {
    let world = World::new();
    world.write("app.yaml", FILE_PIPE);
    world.write("in.ndjson", "{\"id\":1}\n");
    world.ok(&["run", "app.yaml"]);
    let note = String::from_utf8(world.read("onceflow-data/last-run.json")).unwrap();
    let mut note: serde_json::Value = serde_json::from_str(&note).unwrap();
    note["ended_ms"] = serde_json::Value::Null;
    world.write("onceflow-data/last-run.json", note.to_string());
    assert_eq!(json(&world)["run"]["state"], "killed");
    assert!(json(&world)["warnings"].to_string().contains("was killed"));
}
