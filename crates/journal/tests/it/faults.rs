//! P7: after a failed write or sync nothing is acknowledged until a restart, and then nothing
//! that was acknowledged is missing, even where Linux forgot what it lost.

use journal::{AppendError, Fault, Journal, OpenError, SimDisk};

use crate::support::{History, Replayed, open};

const STEPS: &[&[usize]] =
    &[&[100], &[1500, 1500], &[0, 20, 300], &[3000], &[6000], &[50], &[50, 1200, 1200, 1200], &[1]];

/// Opens; once more after an error.
fn open_in_the_end(disk: &SimDisk) -> (Journal, Replayed) {
    match open(disk) {
        Ok(opened) => opened,
        Err(OpenError::Io { .. }) => open(disk).expect("the fault comes once"),
        Err(error) => panic!("{error}"),
    }
}

/// Runs the steps with one fault somewhere, restarting where the journal stops; says what the
/// fault led to.
fn run(disk: &SimDisk, history: &mut History) -> Result<Option<AppendError>, String> {
    let mut seen = None;
    let (mut journal, found) = open_in_the_end(disk);
    history.check(&found)?;
    for (n, sizes) in STEPS.iter().enumerate() {
        let outcome = match history.append(&journal, sizes) {
            Ok(()) if n % 3 == 2 => history.drop_eighths(&journal, 4),
            outcome => outcome,
        };
        let Err(error) = outcome else { continue };
        match &error {
            AppendError::DiskFull { .. } => {
                history.records.truncate(history.answered);
                history.append(&journal, &[700]).map_err(|again| format!("again: {again}"))?;
            }
            AppendError::Drop { .. } => {}
            AppendError::Poisoned { .. } => {
                for _ in 0..2 {
                    match journal.append(vec![9]) {
                        Err(AppendError::Poisoned { .. }) => {}
                        other => return Err(format!("after {error}: {other:?}")),
                    }
                }
                drop(journal);
                let (again, found) = open_in_the_end(disk);
                history.check(&found)?;
                journal = again;
            }
            other => return Err(other.to_string()),
        }
        seen = Some(error);
    }
    Ok(seen)
}

fn sweep(fault: Fault) -> Vec<AppendError> {
    let whole = SimDisk::new(0);
    run(&whole, &mut History::default()).unwrap();
    let mut errors = Vec::new();
    for op in 0..whole.ops() {
        for seed in 0..12 {
            let disk = SimDisk::new(seed);
            disk.fail_at(op, fault);
            let mut history = History::default();
            let at = |what| format!("{fault:?} at operation {op}, seed {seed}: {what}");
            errors.extend(run(&disk, &mut history).map_err(at).unwrap());
            for loss in 0..4 {
                let mut history = history.clone();
                let (_, found) =
                    open(&disk.after_power_loss(loss)).map_err(|e| at(e.to_string())).unwrap();
                history.check(&found).map_err(at).unwrap();
            }
        }
    }
    errors
}

#[test]
fn p7_a_failed_write_or_sync_stops_and_loses_nothing() {
    let errors = sweep(Fault::Io);
    assert!(errors.iter().any(|error| error.to_string().contains("cannot sync /j/")));
    assert!(errors.iter().any(|error| error.to_string().contains("cannot write /j/")));
    let full = |error: &AppendError| matches!(error, AppendError::DiskFull { .. });
    assert!(!errors.iter().any(full));
}

#[test]
fn p7_no_space_is_survived_only_where_a_segment_is_made() {
    let errors = sweep(Fault::NoSpace);
    let count = |wanted: fn(&AppendError) -> bool| errors.iter().filter(|e| wanted(e)).count();
    assert!(count(|error| matches!(error, AppendError::DiskFull { .. })) > 0);
    let poisoned = count(|error| matches!(error, AppendError::Poisoned { .. }));
    assert!(poisoned > 0, "a write into room that was reserved, or a sync, must stop it");
}

#[test]
fn the_cause_is_named_to_everyone_who_comes_later() {
    let disk = SimDisk::new(1);
    let (journal, _) = open(&disk).unwrap();
    journal.append(vec![1]).unwrap();
    disk.fail_at(disk.ops() + 1, Fault::Io);
    let first = journal.append(vec![2]).unwrap_err().to_string();
    assert!(first.contains("cannot sync /j/00000000000000000001.journal: "), "{first}");
    let second = journal.append(vec![3]).unwrap_err().to_string();
    assert_eq!(first, second);
    assert!(journal.drop_before(journal.end()).is_err());
    assert!(journal.close().is_err());
}
