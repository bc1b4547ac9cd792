//! A data folder that can't be used: a named error that says what to do, and nothing changed.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use crate::kit::{Ended, FILE_PIPE, PROGRAM, STDIN_PIPE, Said, World, files};

fn once() -> World {
    let world = World::new();
    world.write("app.yaml", FILE_PIPE);
    world.write("in.ndjson", "{\"id\":1}\n{\"id\":2}\n{\"id\":1}\n");
    world.ok(&["run", "app.yaml"]);
    world
}

/// Every file of the data folder with its content, but for the lock.
fn content(world: &World) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let all = files(&world.path("onceflow-data")).into_iter();
    let all = all.filter(|path| !path.ends_with("lock"));
    all.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

#[test]
fn a_folder_in_use_is_3_and_names_the_process() {
    let world = World::new();
    world.write("app.yaml", STDIN_PIPE);
    let mut owner = world
        .command(&["run", "app.yaml", "--progress-lines"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = owner.stdin.take().unwrap();
    stdin.write_all(b"{\"id\":1}\n").unwrap();
    let mut said = Said::of(&mut owner);
    said.wait_for("progress 1");
    let second = world.run(&["run", "app.yaml"]);
    second.expect(3, &["in use by", &owner.id().to_string(), "--data-dir"]);
    // Looking is allowed all the while.
    let report = world.ok(&["report"]);
    assert!(report.stdout.contains("running, process"), "{}", report.stdout);
    drop(stdin);
    assert!(owner.wait().unwrap().success());
    assert!(said.rest().contains("1 received = 1 delivered"));
}

#[test]
fn a_flipped_bit_is_3_and_names_the_file() {
    let world = once();
    let journal = files(&world.path("onceflow-data/ledger/journal"));
    let mut flipped = 0;
    for file in journal {
        let mut bytes = std::fs::read(&file).unwrap();
        // Preallocated space after the last record is zero; a bit of what was written counts.
        let Some(last) = bytes.iter().rposition(|byte| *byte != 0) else { continue };
        if last < 200 {
            continue;
        }
        bytes[last / 2] ^= 4;
        world.write(file.strip_prefix(world.path("")).unwrap().to_str().unwrap(), &bytes);
        flipped += 1;
        break;
    }
    assert_eq!(flipped, 1, "no journal file with content");
    let before = content(&world);
    for words in [&["run", "app.yaml"][..], &["report"]] {
        let ended = world.run(words);
        ended.expect(3, &["ledger", "journal"]);
        assert!(ended.stderr.contains("corrupt") || ended.stderr.contains("damaged"), "{ended:?}");
    }
    assert!(content(&world) == before, "something was changed");
}

#[test]
fn a_folder_of_a_newer_version_is_3() {
    let world = once();
    let file = files(&world.path("onceflow-data/ledger/journal")).remove(0);
    let mut bytes = std::fs::read(&file).unwrap();
    // docs/formats/journal.md: the version follows the magic number in a segment's header.
    bytes[8] = 99;
    world.write(file.strip_prefix(world.path("")).unwrap().to_str().unwrap(), &bytes);
    let before = content(&world);
    let ended = world.run(&["run", "app.yaml"]);
    ended.expect(3, &["version 99"]);
    assert!(content(&world) == before, "something was changed");
}

#[test]
fn a_clock_set_back_an_hour_is_3_and_five_minutes_are_fine() {
    let world = World::new();
    world.write("app.yaml", FILE_PIPE);
    world.write("in.ndjson", "{\"id\":1}\n");
    world.write("clock", "0");
    world.ok(&["run", "app.yaml", "--test-clock", "clock"]);
    world.write("clock", "-3600000");
    let ended = world.run(&["run", "app.yaml", "--reread", "--test-clock", "clock"]);
    ended.expect(3, &["clock", "behind"]);
    world.write("clock", "-120000");
    let ended = world.ok(&["run", "app.yaml", "--reread", "--test-clock", "clock"]);
    assert!(ended.stderr.contains("1 received = 0 delivered + 1 duplicate"), "{ended:?}");
    // Past the window it is another event.
    world.write("clock", "7200000");
    let ended = world.ok(&["run", "app.yaml", "--reread", "--test-clock", "clock"]);
    assert!(ended.stderr.contains("1 received = 1 delivered"), "{ended:?}");
    world.write("clock", "an hour");
    world.run(&["run", "app.yaml", "--test-clock", "clock"]).expect(2, &["milliseconds"]);
}

#[test]
fn a_folder_without_permission_is_3_and_names_it() {
    let world = once();
    let allow = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let data_dir = world.path("onceflow-data");
    allow(&data_dir, 0o500);
    let mut command = world.command(&["run", "app.yaml"]);
    if rustix::process::getuid().is_root() {
        // Nothing is forbidden to root: be nobody, with a program that nobody may run.
        let program = world.path("onceflow");
        std::fs::copy(PROGRAM, &program).unwrap();
        allow(&world.path(""), 0o755);
        command = std::process::Command::new(program);
        command.args(["run", "app.yaml"]).current_dir(world.path("")).uid(65534).gid(65534);
    }
    let ended = Ended::new(command.output().unwrap());
    allow(&data_dir, 0o700);
    ended.expect(3, &["onceflow-data", "--data-dir"]);
    assert!(ended.stderr.to_lowercase().contains("permission"), "{ended:?}");
}

#[test]
fn a_key_that_changed_is_3_and_says_how_to_go_on() {
    let world = once();
    world.write("app.yaml", FILE_PIPE.replace("$.id", "[$.id, $.other]"));
    world.run(&["run", "app.yaml"]).expect(3, &["scope", "app"]);
}

#[test]
fn a_path_that_is_a_file_is_3() {
    let world = World::new();
    world.write("app.yaml", FILE_PIPE);
    world.write("in.ndjson", "{\"id\":1}\n");
    world.write("file", "x");
    world.run(&["run", "app.yaml", "--data-dir", "file/data"]).expect(3, &["file/data"]);
    world.run(&["report", "--data-dir", "nowhere"]).expect(3, &["nowhere", "--data-dir"]);
}
