//! Finding letters again.

use std::sync::Arc;

use connect::dead::{After, FindError, LetterFilter, Standing, show_id};
use journal::{Disk, SimDisk};

use super::kit::{NOW, ROOT, bodies, dead_batch, folder, found, settle, store};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

fn world() -> (SimDisk, Arc<dyn Disk>) {
    let sim = SimDisk::new(3);
    let disk: Arc<dyn Disk> = Arc::new(sim.clone());
    let mut sink = store(&disk, 1 << 30);
    let mut events = dead_batch(
        "stream/0@7",
        1,
        &[
            (b"a", b"user-1", NOW),
            (b"b", b"user-2", NOW + 1),
            (b"c", b"user-1", NOW + HOUR),
            (b"d", b"", NOW + 40 * DAY),
            (b"e", b"user/1", NOW + 400 * DAY),
        ],
    );
    events.deaths[1].class = "timeout".into();
    settle(&mut sink, 1, &events).unwrap();
    settle(&mut sink, 2, &dead_batch("stream/1@7", 9, &[(b"f", b"user-1", NOW - DAY)])).unwrap();
    (sim, disk)
}

fn write(disk: &Arc<dyn Disk>, path: &str, bytes: &[u8]) {
    let path = format!("{ROOT}/{path}");
    disk.create_new(path.as_ref()).unwrap().write_at(0, bytes).unwrap();
}

#[test]
fn letters_come_by_time_and_every_filter_takes_its_own() {
    let (_, disk) = world();
    let all = LetterFilter::default();
    assert_eq!(bodies(&found(&disk, all.clone())), ["f", "a", "b", "c", "d", "e"]);
    let cases: Vec<(LetterFilter, &[&str])> = vec![
        (
            LetterFilter { consumers: vec!["my-pipe".into()], ..all.clone() },
            &["f", "a", "b", "c", "d", "e"],
        ),
        (LetterFilter { consumers: vec!["other".into()], ..all.clone() }, &[]),
        (LetterFilter { from_ms: Some(NOW), ..all.clone() }, &["a", "b", "c", "d", "e"]),
        (LetterFilter { from_ms: Some(NOW + 1), ..all.clone() }, &["b", "c", "d", "e"]),
        (LetterFilter { to_ms: Some(NOW + 1), ..all.clone() }, &["f", "a"]),
        (
            LetterFilter { from_ms: Some(NOW), to_ms: Some(NOW + 40 * DAY), ..all.clone() },
            &["a", "b", "c"],
        ),
        (
            LetterFilter {
                from_ms: Some(NOW + 40 * DAY),
                to_ms: Some(NOW + 40 * DAY + 1),
                ..all.clone()
            },
            &["d"],
        ),
        (LetterFilter { partition: Some(b"user-1".to_vec()), ..all.clone() }, &["f", "a", "c"]),
        (LetterFilter { partition: Some(b"user/1".to_vec()), ..all.clone() }, &["e"]),
        (LetterFilter { partition: Some(Vec::new()), ..all.clone() }, &["d"]),
        (LetterFilter { shard: Some("stream/1".into()), ..all.clone() }, &["f"]),
        (LetterFilter { shard: Some("stream/1@7".into()), ..all.clone() }, &["f"]),
        (LetterFilter { class: Some("timeout".into()), ..all.clone() }, &["b"]),
    ];
    for (filter, expected) in cases {
        assert_eq!(bodies(&found(&disk, filter.clone())), expected, "{filter:?}");
    }
}

#[test]
fn one_letter_is_found_by_id_prefix_and_path() {
    let (_, disk) = world();
    let all = found(&disk, LetterFilter::default());
    for letter in &all {
        let id = show_id(letter.name.id);
        let path = letter.name.path();
        for text in [&id, &id[..10].to_owned(), &path, &format!("{ROOT}/{path}")] {
            assert_eq!(folder(&disk).find(text).as_ref(), Ok(letter), "{text}");
        }
    }
    assert!(matches!(folder(&disk).find(""), Err(FindError::Ambiguous { .. })));
    for text in ["0123456789", "my-pipe/2025/nothing.json"] {
        assert!(matches!(folder(&disk).find(text), Err(FindError::None(_))), "{text}");
    }
}

#[test]
fn damaged_and_foreign_files_are_named_and_skipped() {
    let (sim, disk) = world();
    let victim = found(&disk, LetterFilter::default()).remove(1).name.path();
    disk.unlink(format!("{ROOT}/{victim}").as_ref()).unwrap();
    write(&disk, &victim, b"{\"onceflow_letter\": 1, \"id\": ");
    write(&disk, "notes.txt", b"hello");
    write(&disk, "my-pipe/2025/11/notes.txt", b"hello");
    write(&disk, &victim.replace("Z-", "Z+"), b"hello");
    let (letters, skipped): (Vec<_>, Vec<_>) =
        folder(&disk).letters(LetterFilter::default()).partition(Result::is_ok);
    let letters: Vec<_> = letters.into_iter().map(Result::unwrap).collect();
    assert_eq!(bodies(&letters), ["f", "b", "c", "d", "e"]);
    let mut named: Vec<String> = skipped.into_iter().map(|one| one.unwrap_err().path).collect();
    named.sort();
    let mut expected = [
        "notes.txt".into(),
        "my-pipe/2025/11/notes.txt".into(),
        victim.replace("Z-", "Z+"),
        victim,
    ];
    expected.sort();
    assert_eq!(named, expected);
    // A letter that lies where another one belongs isn't what was written.
    let one = &letters[0].name.path();
    let moved = one.replace("Z-", "Z-f").replacen("0.json", ".json", 1);
    let bytes = sim.read_file(format!("{ROOT}/{one}").as_ref()).unwrap();
    let id = show_id(letters[0].name.id);
    let other = one.replace(&id, &"f".repeat(32));
    assert_ne!(moved, *one);
    write(&disk, &other, &bytes);
    let copy = folder(&disk).find(&"f".repeat(32)).unwrap();
    assert!(copy.edited && !letters[0].edited);
}

#[test]
fn marked_letters_stay_and_are_listed_on_request_and_removed_ones_are_gone() {
    let (sim, disk) = world();
    let all = found(&disk, LetterFilter::default());
    let (marked, rest) = all.split_at(2);
    let names = |some: &[connect::dead::Found]| -> Vec<_> {
        some.iter().map(|one| (one.name.clone(), one.bytes)).collect()
    };
    let (marked, rest) = (names(marked), names(rest));
    let settle = |some: &[(connect::dead::LetterName, u64)], after| {
        folder(&disk).settle(some.iter().map(|(name, bytes)| (name, *bytes)), after).unwrap();
    };
    settle(&marked, After::Mark);
    settle(&marked, After::Mark);
    assert_eq!(bodies(&found(&disk, LetterFilter::default())), ["b", "c", "d", "e"]);
    let done_too = LetterFilter { standing: Standing::Any, ..LetterFilter::default() };
    assert_eq!(bodies(&found(&disk, done_too.clone())), ["f", "a", "b", "c", "d", "e"]);
    let done = LetterFilter { standing: Standing::Done, ..LetterFilter::default() };
    assert_eq!(bodies(&found(&disk, done)), ["f", "a"]);
    settle(&rest[1..], After::Remove);
    settle(&rest[1..], After::Remove);
    // What settle said is durable.
    let disk: Arc<dyn Disk> = Arc::new(sim.after_power_loss(11));
    let left = found(&disk, done_too);
    assert_eq!(bodies(&left), ["f", "a", "b"]);
    assert_eq!(left.iter().map(|one| one.name.done).collect::<Vec<_>>(), [true, true, false]);
}
