//! Version 1 stays readable. The fixture was written once and is frozen.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use journal::{Disk, Position, RealDisk, SimDisk};

use crate::support::{open_on, read_all};

fn expected() -> Vec<(Position, Vec<u8>)> {
    [
        (96, b"once".to_vec()),
        (108, Vec::new()),
        (116, b"only".to_vec()),
        (168, vec![0xab; 300]),
        (520, vec![0xcd; 5000]),
        (5568, b"last".to_vec()),
    ]
    .map(|(position, record)| (Position(position), record))
    .to_vec()
}

/// How many of the records are in which folder.
const FOLDERS: [(&str, usize); 2] = [("closed", 4), ("torn", 6)];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1").join(name)
}

#[test]
fn version_1_is_read() {
    for (name, records) in FOLDERS {
        assert_eq!(read_all(&RealDisk::new(), &folder(name)).unwrap(), expected()[..records]);
    }
}

#[test]
fn version_1_is_opened_and_goes_on() {
    for (name, records) in FOLDERS {
        let (real, disk) = (RealDisk::new(), SimDisk::new(0));
        disk.mkdir("/j".as_ref()).unwrap();
        for entry in real.list(&folder(name)).unwrap() {
            let bytes = std::fs::read(folder(name).join(&entry.name)).unwrap();
            let file = disk.create_new(&Path::new("/j").join(&entry.name)).unwrap();
            file.write_at(0, &bytes).unwrap();
        }
        let (journal, found) = open_on(Arc::new(disk.clone()), "/j".as_ref()).unwrap();
        assert_eq!(found, expected()[..records]);
        let position = journal.append(b"more".to_vec()).unwrap();
        assert_eq!(journal.read(position).unwrap(), b"more");
        assert_eq!(journal.read(Position(168)).unwrap(), [0xab; 300]);
        assert_eq!(read_all(&disk, "/j".as_ref()).unwrap().len(), records + 1);
    }
}
