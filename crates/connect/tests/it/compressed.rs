//! gzip and Zstandard: offsets are in the content, a truncated file is never taken as whole.

use std::io::Write;

use connect::{Compression, FilePattern};
use event::source::Source;
use flate2::write::GzEncoder;

use crate::kit::{World, changed, texts};

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zst(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 1).unwrap()
}

/// Lines that don't compress to nothing, so that a cut falls into all of them.
fn content(lines: u64) -> String {
    let line = |i: u64| format!("{{\"id\":{i},\"x\":{}}}\n", i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    (0..lines).map(line).collect()
}

type Compress = fn(&[u8]) -> Vec<u8>;

const FORMATS: [(&str, Compress); 2] = [("a.gz", gz), ("a.zst", zst)];

#[test]
fn a_compressed_file_is_known_by_its_name_or_its_first_bytes() {
    for (name, compress) in FORMATS {
        for name in [name, "no-ending"] {
            let mut world = World::new();
            world.write(name, compress(b"1\n\n3"));
            assert_eq!(texts(&world.read(name)), ["1", "", "3"], "{name}");
        }
    }
    let mut world = World::new();
    world.compression = Compression::None;
    world.write("a.gz", "plain\n");
    assert_eq!(texts(&world.read("a.gz")), ["plain"]);
}

#[test]
fn members_and_frames_follow_one_another() {
    for (name, compress) in FORMATS {
        let mut world = World::new();
        let mut bytes = compress(b"1\n2");
        bytes.extend(compress(b""));
        bytes.extend(compress(b"2\n3\n"));
        world.write(name, &bytes);
        assert_eq!(texts(&world.read(name)), ["1", "22", "3"]);
        let remarks = world.open(FilePattern::Path(world.path(name))).unwrap().remarks();
        assert_eq!(remarks.len(), 1, "{remarks:?}");
        assert!(remarks[0].contains("was read to its end (7 bytes)"), "{remarks:?}");
        assert_eq!(world.read(name), []);
        world.append(name, compress(b"4\n"));
        assert_eq!(texts(&world.read(name)), ["4"], "a member more");
    }
}

#[test]
fn resume_decompresses_from_the_start_and_skips() {
    for (name, compress) in FORMATS {
        for settle_max in 0..12 {
            let mut world = World::new();
            world.write(name, compress(content(500).as_bytes()));
            world.limits.events_max = 50;
            world.settle_max = settle_max;
            let all = world.read(name);
            assert_eq!(all.len(), 500);
            world.settle_max = usize::MAX;
            let rest = all.get(settle_max * 50..).unwrap_or_default();
            assert_eq!(world.read(name), rest, "{name} after {settle_max} batches");
            assert_eq!(world.read(name), []);
        }
    }
}

#[test]
fn a_gap_is_read_again_and_what_lies_beyond_it_is_still_checked() {
    for (name, compress) in FORMATS {
        let mut world = World::new();
        world.write(name, compress(b"1\n2\n3\n4\n"));
        let all = world.read(name);
        let state = world.state.values_mut().next().unwrap();
        state.settled_through = 2.into();
        state.settled_beyond = vec![(4.into(), 8.into())];
        let before = world.state.clone();
        assert_eq!(world.read(name), all[1..]);
        world.state = before;
        world.state.values_mut().next().unwrap().mark.as_mut().unwrap().1[70] ^= 1;
        let mut source = world.open(FilePattern::Path(world.path(name))).unwrap();
        let (seen, error) = world.drain(&mut source);
        assert_eq!(seen, []);
        assert!(error.unwrap().to_string().contains("are not what they were"));
    }
}

#[test]
fn p1_a_truncated_file_gives_its_whole_lines_and_is_never_taken_as_read() {
    let content = content(3000);
    let lines: Vec<&str> = content.lines().collect();
    for (name, compress) in FORMATS {
        let whole = compress(content.as_bytes());
        let step = whole.len() / 23;
        for cut in (0..whole.len()).step_by(step).chain([whole.len() - 1]) {
            let mut world = World::new();
            world.write(name, &whole[..cut]);
            let mut source = world.open(FilePattern::Path(world.path(name))).unwrap();
            let (seen, error) = world.drain(&mut source);
            let error = error.unwrap_or_else(|| panic!("{name} cut at {cut} looks whole"));
            let what = error.to_string();
            assert!(what.contains("ends in the middle of its compressed data"), "{what}");
            assert!(what.contains("complete the file and run again"), "{what}");
            assert_eq!(texts(&seen), lines[..seen.len()], "{name} cut at {cut}");
            if name == "a.gz" && cut > 1000 {
                assert!(!seen.is_empty(), "what decompresses is handed over");
            }
            // Once more as it is: the same error, and nothing twice.
            let mut source = world.open(FilePattern::Path(world.path(name))).unwrap();
            assert_eq!(source.remarks(), [""; 0]);
            let (again, error) = world.drain(&mut source);
            assert_eq!(again, []);
            assert!(error.is_some());
            // Completed in place, it is read on. A file whose head was cut is a new one.
            world.append(name, &whole[cut..]);
            let rest = world.read(name);
            assert_eq!(texts(&rest), lines[seen.len()..], "{name} cut at {cut}");
        }
    }
}

#[test]
fn a_damaged_file_gives_what_comes_before_the_damage() {
    let content = content(30_000);
    // gzip always has a checksum, Zstandard when it is asked for (as its command line does).
    let zst_checked = |bytes: &[u8]| {
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
        encoder.include_checksum(true).unwrap();
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    for (name, mut bytes) in
        [("a.gz", gz(content.as_bytes())), ("a.zst", zst_checked(content.as_bytes()))]
    {
        let middle = bytes.len() / 2;
        bytes[middle..middle + 64].fill(0xff);
        let mut world = World::new();
        world.write(name, &bytes);
        let mut source = world.open(FilePattern::Path(world.path(name))).unwrap();
        let (seen, error) = world.drain(&mut source);
        let error = error.unwrap().to_string();
        assert!(error.contains("is damaged") || error.contains("in the middle"), "{error}");
        let good =
            content.lines().zip(texts(&seen)).take_while(|(line, text)| line == text).count();
        assert!(good > 10_000, "{good} lines before the damage");
        let remarks = world.open(FilePattern::Path(world.path(name))).unwrap().remarks();
        assert_eq!(remarks, [""; 0]);
    }
}

#[test]
fn a_file_that_is_not_what_its_name_says_is_named() {
    for (name, _) in FORMATS {
        let mut world = World::new();
        world.write(name, "plain text, no compression at all\n");
        let what = changed(world.try_read(name));
        assert!(what.contains(name) && what.contains("is damaged"), "{what}");
    }
}

#[test]
fn a_compressed_file_that_was_cut_or_changed_is_a_named_error() {
    for (name, compress) in FORMATS {
        let mut world = World::new();
        let content = content(3000);
        let whole = compress(content.as_bytes());
        world.write(name, &whole);
        world.read(name);
        world.write(name, &whole[..whole.len() - 100]);
        let what = changed(world.try_read(name));
        assert!(what.contains("shorter than it was"), "{what}");
        // The same beginning, and other content behind it.
        let other: String = content.lines().take(2000).map(|line| format!("{line}\n")).collect();
        let other = other + &"{\"other\":1}\n".repeat(10_000);
        let mut changed_bytes = compress(other.as_bytes());
        changed_bytes.extend(compress(&[b'\n'; 100_000]));
        if changed_bytes[..4096] == whole[..4096] && changed_bytes.len() > whole.len() {
            world.write(name, &changed_bytes);
            let what = changed(world.try_read(name));
            assert!(what.contains("are not what they were"), "{what}");
        }
    }
}

#[test]
fn an_end_that_falls_together_with_the_batchs_is_noticed() {
    for (name, compress) in FORMATS {
        let mut world = World::new();
        world.limits.events_max = 2;
        world.write(name, compress(b"1\n2\n3\n4\n"));
        assert_eq!(world.read(name).len(), 4);
        let remarks = world.open(FilePattern::Path(world.path(name))).unwrap().remarks();
        assert_eq!(remarks.len(), 1, "its mark says that it was read to its end");
    }
}
