//! The spool's format: a file of version 1 is read, and what is written today is the same bytes.

use std::path::PathBuf;

use broker::Sequence;
use connect::spool::Entry;
use connect::spool::frame::{FrameWriter, HEADER_BYTES, check_header, put_header, read_frame};
use event::{BatchNumber, LedgerId};

const LEDGER: LedgerId = LedgerId(0x0123_4567_89ab_cdef_0011_2233_4455_6677);

fn written() -> Vec<u8> {
    let mut out = Vec::new();
    put_header(&mut out, LEDGER);
    let mut frame = FrameWriter::begin(&mut out, BatchNumber(9));
    frame.row(0, b"shard key", b"{\"id\":1}");
    frame.row(4, b"", b"");
    frame.row(5, "\u{fc}".as_bytes(), b"\n\0\xff");
    frame.end();
    out
}

fn fixture() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/spool-v1.spool")
}

#[test]
fn a_spool_file_of_version_1_is_read_and_written_alike() {
    let bytes = std::fs::read(fixture()).unwrap();
    assert_eq!(bytes, written());
    check_header(&bytes, LEDGER).unwrap();
    let rows = read_frame(&bytes[HEADER_BYTES..], BatchNumber(9)).unwrap();
    let sequence = |index| Sequence { batch: BatchNumber(9), index };
    let expected = [
        Entry { sequence: sequence(0), key: b"shard key", body: b"{\"id\":1}" },
        Entry { sequence: sequence(4), key: b"", body: b"" },
        Entry { sequence: sequence(5), key: "\u{fc}".as_bytes(), body: b"\n\0\xff" },
    ];
    assert_eq!(rows, expected);
}
