//! A letter is whole, and its form stays readable.

use std::path::PathBuf;

use bytes::Bytes;
use connect::dead::{Letter, LetterError, LetterName, ReadLetter};

use super::kit::letter;

fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    std::fs::read(path).unwrap()
}

fn binary() -> Letter {
    Letter {
        partition_key: Some(b"\xfe".to_vec()),
        broker_ms: None,
        event_ms: None,
        body: Bytes::from_static(b"\xff\0\n"),
        attributes: Vec::new(),
        attempts: Vec::new(),
        replay: String::new(),
        replay_count: 0,
        ..letter()
    }
}

#[test]
fn p5_letters_of_version_1_are_read_and_written_alike() {
    for (name, expected) in [("letter-v1.json", letter()), ("letter-v1-binary.json", binary())] {
        let bytes = fixture(name);
        let read = Letter::decode(&bytes).unwrap();
        assert_eq!(read, ReadLetter { letter: expected.clone(), edited: false }, "{name}");
        assert_eq!(
            String::from_utf8(expected.encode()).unwrap(),
            String::from_utf8(bytes).unwrap(),
            "{name}"
        );
        // In one line it is the same letter.
        let line = expected.encode_line();
        assert!(!line.contains(&b'\n'));
        assert_eq!(Letter::decode(&line).unwrap().letter, expected);
        assert!(!Letter::decode(&line).unwrap().edited);
    }
    let path =
        "app/2025/11/03/10/user-17/20251103T100503.123Z-0123456789abcdef0011223344556677.json";
    assert_eq!(LetterName::of(&letter()).path(), path);
}

#[test]
fn a_letter_that_was_edited_is_recognised_and_one_that_was_laid_out_anew_is_not() {
    let text = String::from_utf8(letter().encode()).unwrap();
    let changed = [
        text.replace("\\\"id\\\": 1", "\\\"id\\\": 2"),
        text.replace("\"replay_count\": 1", "\"replay_count\": 0"),
        text.replace("user-17", "user-18"),
        text.lines().filter(|line| !line.contains("\"broker_ms\"")).collect(),
        text.replace(",\n  \"checksum\": \"", ",\n  \"checksum\": \"0"),
        {
            let at = text.find(",\n  \"checksum\"").unwrap();
            format!("{}\n}}\n", &text[..at])
        },
    ];
    for changed in changed {
        assert_ne!(changed, text);
        let read = Letter::decode(changed.as_bytes()).unwrap();
        assert!(read.edited, "{changed}");
    }
    let spaced = text.replace('\n', "\n\n");
    assert!(!Letter::decode(spaced.as_bytes()).unwrap().edited);
}

#[test]
fn what_is_no_letter_is_named() {
    let text = String::from_utf8(letter().encode()).unwrap();
    let newer = text.replace("\"onceflow_letter\": 1", "\"onceflow_letter\": 2");
    assert_eq!(Letter::decode(newer.as_bytes()), Err(LetterError::Newer(2)));
    let broken = [
        String::new(),
        "{}".into(),
        "[1]".into(),
        text[..text.len() / 2].to_owned(),
        text.replace("\"raw\"", "\"raw_base64\""),
        text.replace("\"raw\"", "\"body\""),
        text.replace("\"late\"", "\"early\""),
        text.replace("\"id\": \"01", "\"id\": \"zz"),
    ];
    for broken in broken {
        let refused = Letter::decode(broken.as_bytes());
        assert!(matches!(refused, Err(LetterError::Unreadable(_))), "{broken}: {refused:?}");
    }
}
