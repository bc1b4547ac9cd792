//! The same work on a key-value store: fjall, used the usual way.

use fjall::{Database, KeyspaceCreateOptions, PersistMode};

use crate::Asked;
use crate::cost::{Since, anonymous_bytes, folder_bytes};
use crate::load::{BATCH, keys};

const RECENT: u64 = 500_000;

/// For each key a look-up, for each new one an insert of recorded time and window, and one synced
/// write batch for all.
pub(crate) fn run(asked: &Asked) {
    let before = anonymous_bytes();
    let database = Database::builder(&asked.dir).open().unwrap();
    let space = database.keyspace("keys", KeyspaceCreateOptions::default).unwrap();
    let (mut room, mut next, mut left) = (Vec::new(), 0, asked.keys / 9 * 10);
    let total = left;
    let since = Since::now();
    let mut last_fifth = None;
    while left > 0 {
        if left <= total / 5 && last_fifth.is_none() {
            last_fifth = Some((Since::now(), left));
        }
        let count = left.min(BATCH);
        next += keys(next, count, RECENT, &mut room);
        let mut write = database.batch();
        for key in &room {
            let key = key.to_be_bytes();
            if space.get(key).unwrap().is_none() {
                write.insert(&space, key, [0_u8; 16]);
            }
        }
        write.commit().unwrap();
        database.persist(PersistMode::SyncAll).unwrap();
        left -= count;
    }
    let (fifth, of) = last_fifth.unwrap();
    let (wall, cpu) = (fifth.wall(), fifth.cpu());
    let all = since.wall();
    let memory = anonymous_bytes().saturating_sub(before);
    drop((space, database));
    let disk = folder_bytes(&asked.dir);
    let since = Since::now();
    let database = Database::builder(&asked.dir).open().unwrap();
    let space = database.keyspace("keys", KeyspaceCreateOptions::default).unwrap();
    assert!(space.get(crate::load::key(0).to_be_bytes()).unwrap().is_some());
    println!(
        "{{\"part\": \"fjall\", \"keys\": {next}, \"rate\": {:.0}, \"wall_ns\": {:.1}, \
         \"cpu_ns\": {:.1}, \"all_wall_ns\": {:.1}, \"memory_b\": {:.2}, \"disk_b\": {:.2}, \
         \"restart_s\": {:.2}}}",
        of as f64 / wall.as_secs_f64(),
        wall.as_nanos() as f64 / of as f64,
        cpu.as_nanos() as f64 / of as f64,
        all.as_nanos() as f64 / total as f64,
        memory as f64 / next as f64,
        disk as f64 / next as f64,
        since.wall().as_secs_f64(),
    );
}
