//! Several files, one after another.

use std::os::unix::fs::PermissionsExt;

use connect::FilePattern;
use event::source::{Source, SourceError};

use crate::kit::{World, texts};

fn pattern(world: &World, pattern: &str) -> FilePattern {
    FilePattern::Glob(format!("{}/{pattern}", world.dir.path().display()))
}

#[test]
fn files_come_in_sorted_order_each_as_a_shard_of_its_own() {
    let mut world = World::new();
    for name in ["c.ndjson", "a.ndjson", "b.ndjson"] {
        world.write(name, format!("{name} 1\n{name} 2"));
    }
    world.write("empty.ndjson", "");
    world.write("other.txt", "no\n");
    std::fs::create_dir(world.path("folder.ndjson")).unwrap();
    let mut source = world.open(pattern(&world, "*.ndjson")).unwrap();
    assert_eq!(source.name(), "file:*.ndjson");
    let (seen, error) = world.drain(&mut source);
    assert!(error.is_none());
    let expected =
        ["a.ndjson", "b.ndjson", "c.ndjson"].map(|name| [format!("{name} 1"), format!("{name} 2")]);
    assert_eq!(texts(&seen), expected.concat());
    assert_eq!(world.state.len(), 3);
    // Each goes on by itself.
    world.append("b.ndjson", "\nmore\n");
    let mut source = world.open(pattern(&world, "*.ndjson")).unwrap();
    assert_eq!(source.remarks().len(), 2, "{:?}", source.remarks());
    let (seen, _) = world.drain(&mut source);
    assert_eq!(texts(&seen), ["more"]);
}

#[test]
fn small_files_share_a_batch_and_batches_of_any_size_share_files() {
    for bytes_max in [1, 7, 30, 100, 1 << 20] {
        let mut world = World::new();
        world.limits.bytes_max = bytes_max;
        world.event_bytes_max = 100;
        let mut expected = Vec::new();
        for i in 0..50 {
            let name = format!("{i:02}");
            let lines: Vec<String> = (0..i % 5).map(|line| format!("{name}-{line}")).collect();
            let newline = if i % 2 == 0 { "\n" } else { "" };
            let newline = if lines.is_empty() { "" } else { newline };
            world.write(&name, lines.join("\n") + newline);
            expected.extend(lines);
        }
        let mut source = world.open(pattern(&world, "*")).unwrap();
        let (seen, error) = world.drain(&mut source);
        assert!(error.is_none());
        assert_eq!(texts(&seen), expected, "bytes_max {bytes_max}");
        let mut source = world.open(pattern(&world, "[0-9][0-9]")).unwrap();
        assert_eq!(source.remarks().len(), 40);
        assert_eq!(world.drain(&mut source).0, []);
    }
}

#[test]
fn a_broken_file_does_not_keep_the_others_from_being_read() {
    let mut world = World::new();
    world.write("a", "1\n");
    world.write("b.gz", [0x1f, 0x8b]);
    world.write("c", "3\n");
    let mut source = world.open(pattern(&world, "?*")).unwrap();
    let (seen, error) = world.drain(&mut source);
    assert_eq!(texts(&seen), ["1", "3"]);
    assert!(error.unwrap().to_string().contains("b.gz ends in the middle"));
}

#[test]
fn a_file_with_two_names_is_read_once() {
    let mut world = World::new();
    world.write("a", "1\n");
    std::fs::hard_link(world.path("a"), world.path("b")).unwrap();
    let mut source = world.open(pattern(&world, "[ab]")).unwrap();
    let (seen, _) = world.drain(&mut source);
    assert_eq!(texts(&seen), ["1"]);
    assert_eq!(source.remarks(), ["b is another name of a file that was read"]);
}

#[test]
fn what_cannot_be_opened_is_named_at_the_start() {
    let world = World::new();
    let message = |paths: FilePattern| world.open(paths).err().unwrap().to_string();
    let missing = message(FilePattern::Path(world.path("missing")));
    assert!(missing.contains("missing (is the path right?)"), "{missing}");
    assert!(message(pattern(&world, "*.none")).contains("no file matches"));
    assert!(message(FilePattern::Glob("a[".into())).contains("is no glob"));
    let folder = message(FilePattern::Path(world.dir.path().into()));
    assert!(folder.contains("is not a regular file"), "{folder}");
}

/// Root may read everything, so there is nothing to see as root.
#[test]
fn a_file_without_the_right_to_read_it_is_named_skipped_as_root() {
    if rustix::process::geteuid().is_root() {
        return;
    }
    let world = World::new();
    let path = world.write("secret", "1\n");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
    let Err(SourceError::Io { what, .. }) = world.open(FilePattern::Path(path)) else {
        panic!("it was opened")
    };
    assert!(what.contains("give this user the right to read it"), "{what}");
}
