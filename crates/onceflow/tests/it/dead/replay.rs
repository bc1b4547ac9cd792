//! What else can happen to a letter.

use super::{Receiver, config, dead, letters, listed};
use crate::kit::{World, files};
use crate::served::Served;

/// A world in which events 1 to `count` came, and these died.
fn world(refused: &[u64], count: u64, more: &str) -> (Receiver, World) {
    let receiver = Receiver::refusing(refused);
    let world = World::new();
    world.write("app.yaml", config(&receiver, more));
    let lines: String = (1..=count).map(|id| format!("{{\"id\":{id}}}\n")).collect();
    world.write("app.ndjson", lines);
    let summary = world.summary(&["run", "app.yaml"]);
    assert_eq!(summary["pipes"][0]["outcomes"]["dead"], refused.len(), "{summary}");
    (receiver, world)
}

#[test]
fn p5_an_event_that_dies_again_is_a_new_letter_until_the_loop_guard_stops_it() {
    let (receiver, world) = world(&[2], 3, "dead_letter: { replays_max: 2 }\n");
    for count in 1..=2 {
        let again = dead(&world, &["replay", "app.yaml"]);
        assert_eq!(again.code, 1, "{again:?}");
        assert!(again.stdout.contains("1 dead") && again.stdout.contains("http_400"), "{again:?}");
        let open = listed(&world, &[]);
        assert_eq!(open.len(), 1, "the old one is processed, the new one is open: {open:?}");
        assert_eq!(open[0]["replay_count"], count);
        assert_eq!(open[0]["source"], "file:app.ndjson", "it keeps where it came from");
    }
    let stopped = dead(&world, &["replay", "app.yaml"]);
    assert_eq!(stopped.code, 1);
    assert!(stopped.stdout.contains("was replayed 2 times"), "{stopped:?}");
    assert_eq!(listed(&world, &[]).len(), 1);
    receiver.repair();
    assert_eq!(dead(&world, &["replay", "app.yaml"]).code, 1, "the guard holds all the same");
    assert_eq!(receiver.taken(), [1, 3]);
}

#[test]
fn p5_an_edited_letter_is_refused_by_name_unless_that_is_meant() {
    let (receiver, world) = world(&[2], 3, "");
    let path = letters(&world)[0].to_string_lossy().into_owned();
    let file = format!("onceflow-data/dead/{path}");
    let text = String::from_utf8(world.read(&file)).unwrap();
    world.write(&file, text.replace("{\\\"id\\\":2}", "{\\\"id\\\":22}"));
    receiver.repair();
    let refused = dead(&world, &["replay", "app.yaml"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stdout.contains(&path) && refused.stdout.contains("--edited"), "{refused:?}");
    assert_eq!(receiver.taken(), [1, 3]);
    let meant = dead(&world, &["replay", "app.yaml", "--edited"]);
    assert_eq!(meant.code, 0, "{meant:?}");
    assert_eq!(receiver.taken(), [1, 3, 22]);
}

#[test]
fn p5_replay_and_purge_are_done_by_the_run_that_owns_the_folder() {
    let (receiver, world) = world(&[2, 4, 5], 6, "dead_letter: { after_replay: remove }\n");
    receiver.repair();
    let served = Served::start(&world, &["app.yaml"]);
    let ids: Vec<String> =
        listed(&world, &[]).iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 3);
    let purged = dead(&world, &["purge", "app.yaml", "--id", &ids[0], "--json"]);
    assert_eq!(purged.code, 0, "{purged:?}");
    assert!(purged.stdout.contains("\"purged\":1"), "{purged:?}");
    assert_eq!(listed(&world, &[]).len(), 2);
    // Its pipe has read its file to the end, and takes nothing any more.
    let ended = "onceflow_pipe_phase{pipe=\"app\",phase=\"ended\"}";
    served.wait_until("the pipe has ended", |served| served.metric(ended) > 0.0);
    let early = dead(&world, &["replay", "app.yaml"]);
    early.expect(1, &["has ended"]);
    served.stop();
    // Without an owner the command owns the folder itself.
    let replayed = dead(&world, &["replay", "app.yaml", "--rate", "100"]);
    assert_eq!(replayed.code, 0, "{replayed:?}");
    assert_eq!(receiver.taken().len(), 5);
    assert!(letters(&world).is_empty(), "after_replay: remove");
}

#[test]
fn purge_wants_to_know_which_and_a_dry_run_changes_nothing() {
    let (_, world) = world(&[1, 2], 3, "");
    let words = ["purge", "app.yaml"];
    dead(&world, &words).expect(2, &["--all"]);
    let dry = dead(&world, &["purge", "app.yaml", "--all", "--dry-run"]);
    assert_eq!((dry.code, dry.stdout.as_str()), (0, "2 letters would be purged\n"));
    assert_eq!(letters(&world).len(), 2);
    let none = dead(&world, &["purge", "app.yaml", "--class", "timeout"]);
    assert_eq!((none.code, none.stdout.as_str()), (0, "0 letters purged\n"));
    let all = dead(&world, &["purge", "app.yaml", "--all"]);
    assert_eq!((all.code, all.stdout.as_str()), (0, "2 letters purged\n"));
    assert!(letters(&world).is_empty());
    // Their keys are forgotten with them: a copy is a new event, and dies again.
    world.write("app.ndjson", "{\"id\":1}\n{\"id\":2}\n{\"id\":3}\n{\"id\":2,\"again\":true}\n");
    let summary = world.summary(&["run", "app.yaml"]);
    assert_eq!(summary["pipes"][0]["outcomes"]["dead"], 1, "{summary}");
}

#[test]
fn wrong_words_are_named() {
    let (_, world) = world(&[1], 2, "");
    for (words, says) in [
        (vec!["list", "app.yaml", "--consumer", "other"], "there is no pipe `other`"),
        (vec!["list", "app.yaml", "--from", "yesterday"], "isn't a time"),
        (vec!["list", "app.yaml", "--from", "1h", "--to", "2h"], "--from is not before --to"),
        (vec!["list", "app.yaml", "--id", "xyz"], "no letter's id"),
        (vec!["replay", "app.yaml", "--to-sink", "lake"], "no sink `lake`"),
        (vec!["replay", "app.yaml", "--rate", "0"], "--rate"),
        (vec!["purge", "nothing.yaml", "--all"], "nothing.yaml"),
    ] {
        dead(&world, &words).expect(2, &[says]);
    }
    dead(&world, &["show", "0123456789", "app.yaml"]).expect(1, &["no letter 0123456789"]);
    // A file that is no letter is named, counted and passed over.
    let before = files(&world.path("onceflow-data/dead")).len();
    world.write("onceflow-data/dead/notes.txt", "hello");
    let ended = dead(&world, &["list", "app.yaml"]);
    ended.expect(0, &["skipped", "notes.txt", "1 letter"]);
    assert_eq!(files(&world.path("onceflow-data/dead")).len(), before + 1);
}
