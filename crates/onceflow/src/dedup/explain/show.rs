//! What is known of a key, as text and as JSON.

use std::fmt::Write as _;

use connect::dead::show_id;
use dedup::sightings::{Sighting, SightingKind};
use serde_json::{Value, json};

use super::Explained;
use super::facts::{Entry, Facts, Standing};
use crate::dedup::length;

/// Everything, for a person.
pub(super) fn text(explained: &Explained) -> String {
    let mut out = String::new();
    if explained.facts.is_empty() {
        let _ = writeln!(
            out,
            "never seen, as far as {} knows ({} tried)",
            explained.data_dir.display(),
            console::show::counted(explained.tried as u64, "key")
        );
    }
    for facts in &explained.facts {
        one(facts, explained, &mut out);
    }
    for (candidate, standing) in &explained.near {
        let of_type = candidate.event_type.as_deref().unwrap_or("-");
        let values = candidate.values.join(", ");
        let _ = writeln!(out, "near: {values} of type {of_type:?}: {standing}");
    }
    out.push_str("\nlooked at\n");
    for place in &explained.looked {
        let _ = writeln!(out, "  {place}");
    }
    if explained.facts.is_empty() && explained.dropped.rows > 0 {
        dropped(explained, &mut out);
    }
    out
}

fn one(facts: &Facts, explained: &Explained, out: &mut String) {
    let standing = facts.standing();
    let _ = writeln!(out, "key      {:032x}", facts.candidate.key);
    let _ = writeln!(out, "scope    {}", facts.scope);
    if let Some(event_type) = &facts.candidate.event_type {
        let _ = writeln!(out, "type     {event_type:?}");
    }
    if !facts.candidate.values.is_empty() {
        let _ = writeln!(out, "fields   {}", facts.candidate.values.join(", "));
    }
    let _ = writeln!(out, "state    {}", words(standing));
    if let Some(first) = facts.entries.first() {
        let _ = writeln!(out, "\nfirst sighting");
        let _ = writeln!(out, "  {}{}", time(first.recorded_ms), by(first));
        let place = facts.lake.iter().find(|row| row.recorded_ms == first.recorded_ms);
        let archived = facts.archive.iter().find(|row| Some(row.batch) == first.batch);
        match (place, archived) {
            (Some(row), _) => {
                let _ = writeln!(out, "  from {}@{}", row.shard, row.offset);
                let _ = writeln!(out, "  in {}", row.file.display());
            }
            (None, Some(row)) => {
                let _ = writeln!(out, "  from {}, {}@{}", row.source, row.shard, row.offset);
            }
            (None, None) => {
                let _ = writeln!(out, "  where it came from isn't kept any more (see `looked at`)");
            }
        }
        window(facts, out);
    } else if let Some(row) = facts.lake.first() {
        let _ = writeln!(out, "\nfirst sighting that is still kept");
        let _ = writeln!(out, "  {}, batch {}", time(row.recorded_ms), row.batch);
        let _ = writeln!(out, "  from {}@{}", row.shard, row.offset);
        let _ = writeln!(out, "  in {}", row.file.display());
    }
    for (pipe, id, letter) in &facts.letters {
        let note = if letter.superseded { ", superseded by a copy that was delivered" } else { "" };
        let _ = writeln!(
            out,
            "\ndead letter {} of pipe {pipe}, received {}{note}\n  onceflow dead show {} PIPE.yaml",
            show_id(*id),
            time(letter.received_ms),
            show_id(*id)
        );
    }
    for parked in &facts.parked {
        let _ = writeln!(
            out,
            "\nparked by pipe {}: received {} from {}@{}",
            parked.pipe,
            time(parked.received_ms),
            parked.shard,
            parked.offset
        );
    }
    again(facts, explained, out);
    for compared in &facts.differences {
        let _ = writeln!(out, "\ndifference of bodies: {} and {}", compared.before, compared.after);
        for difference in &compared.differences {
            let _ = writeln!(out, "  {}", difference.text());
        }
    }
}

fn window(facts: &Facts, out: &mut String) {
    let _ = writeln!(out, "\nwindow");
    for entry in &facts.entries {
        let place = entry.run.as_ref().map_or("the journal".to_owned(), |run| format!("run {run}"));
        let _ = match (entry.ends_ms(), entry.left_ms(facts.now_ms)) {
            (Some(ends), Some(left)) if left > 0 => writeln!(
                out,
                "  {} from {}: duplicates are recorded before {}; {} left at {} (in {place})",
                length(entry.window_ms),
                time(entry.recorded_ms),
                time(ends),
                length(left),
                time(facts.now_ms)
            ),
            (Some(ends), _) => writeln!(
                out,
                "  {} from {}: over since {} (still in {place})",
                length(entry.window_ms),
                time(entry.recorded_ms),
                time(ends)
            ),
            _ => writeln!(out, "  for ever from {} (in {place})", time(entry.recorded_ms)),
        };
    }
}

fn again(facts: &Facts, explained: &Explained, out: &mut String) {
    let _ = writeln!(out, "\nlater sightings");
    if facts.sightings.is_empty() {
        let _ = writeln!(out, "  none is kept");
    }
    for sighting in &facts.sightings {
        let _ = writeln!(
            out,
            "  {}  {}, pipe {}, batch {}, {} {}@{}{}",
            time(sighting.received_ms),
            what(sighting),
            sighting.pipe,
            sighting.batch.0,
            sighting.source,
            sighting.shard,
            sighting.start,
            sighting
                .original_ms
                .map(|ms| format!(", {} after the original", length(sighting.recorded_ms - ms)))
                .unwrap_or_default()
        );
    }
    if explained.dropped.rows > 0 {
        dropped(explained, out);
    }
}

fn dropped(explained: &Explained, out: &mut String) {
    let _ = writeln!(
        out,
        "  older ones are gone: {} made room, received up to {} (limits.sightings_bytes_max)",
        console::show::counted(explained.dropped.rows, "sighting"),
        time(explained.dropped.through_ms)
    );
}

fn what(sighting: &Sighting) -> String {
    let mut what = match sighting.kind {
        SightingKind::Duplicate => "duplicate".to_owned(),
        SightingKind::Redelivered => "redelivered".to_owned(),
    };
    if sighting.other_body {
        what.push_str(", other body");
    }
    if sighting.replayed {
        what.push_str(", replayed");
    }
    what
}

fn words(standing: Standing) -> &'static str {
    match standing {
        Standing::InFlight => "in flight: parked, it will be tried again",
        Standing::Dead => "dead: a letter keeps it",
        Standing::Delivered => "delivered, and remembered",
        Standing::Expired => "expired: it came, and its window is over",
        Standing::NeverSeen => "never seen",
    }
}

fn by(entry: &Entry) -> String {
    match (&entry.pipe, entry.batch) {
        (Some(pipe), Some(batch)) => format!(", pipe {pipe}, batch {batch}"),
        _ => ", batch not known (imported, or from a key run of an older format)".to_owned(),
    }
}

fn time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| format!("{ms} ms"), |at| at.to_string())
}

/// Everything, for a script.
pub(super) fn json(explained: &Explained) -> Value {
    let near = |(candidate, standing): &(super::Candidate, String)| {
        json!({
            "key": format!("{:032x}", candidate.key), "type": candidate.event_type,
            "fields": candidate.values, "state": standing,
        })
    };
    json!({
        "found": !explained.facts.is_empty(),
        "tried": explained.tried,
        "keys": explained.facts.iter().map(key_json).collect::<Vec<_>>(),
        "near": explained.near.iter().map(near).collect::<Vec<_>>(),
        "sightings_dropped": explained.dropped.rows,
        "sightings_dropped_through_ms":
            (explained.dropped.rows > 0).then_some(explained.dropped.through_ms),
        "looked": explained.looked,
    })
}

fn key_json(facts: &Facts) -> Value {
    let entry = |entry: &Entry| {
        json!({
            "recorded_ms": entry.recorded_ms,
            "window_ms": entry.ends_ms().map(|_| entry.window_ms),
            "ends_ms": entry.ends_ms(),
            "left_ms": entry.left_ms(facts.now_ms),
            "pipe": entry.pipe,
            "batch": entry.batch,
            "run": entry.run,
            "body_hash": format!("{:016x}", entry.body_hash),
        })
    };
    let sighting = |sighting: &Sighting| {
        json!({
            "kind": match sighting.kind {
                SightingKind::Duplicate => "duplicate",
                SightingKind::Redelivered => "redelivered",
            },
            "other_body": sighting.other_body,
            "replayed": sighting.replayed,
            "pipe": &*sighting.pipe,
            "source": &*sighting.source,
            "type": &*sighting.event_type,
            "batch": sighting.batch.0,
            "shard": &*sighting.shard,
            "offset": sighting.start.to_string(),
            "received_ms": sighting.received_ms,
            "recorded_ms": sighting.recorded_ms,
            "original_ms": sighting.original_ms,
            "body_hash": format!("{:016x}", sighting.body_hash),
        })
    };
    let lake = facts.lake.iter().map(|row| {
        json!({
            "in": "lake", "file": row.file, "shard": row.shard, "offset": row.offset,
            "batch": row.batch, "recorded_ms": row.recorded_ms,
        })
    });
    let archived = facts.archive.iter().map(|row| {
        json!({
            "in": "archive", "file": row.root, "source": row.source, "shard": row.shard,
            "offset": row.offset, "batch": row.batch, "received_ms": row.received_ms,
        })
    });
    json!({
        "key": format!("{:032x}", facts.candidate.key),
        "scope": facts.scope,
        "type": facts.candidate.event_type,
        "fields": facts.candidate.values,
        "state": facts.standing().name(),
        "now_ms": facts.now_ms,
        "entries": facts.entries.iter().map(entry).collect::<Vec<_>>(),
        "places": lake.chain(archived).collect::<Vec<_>>(),
        "sightings": facts.sightings.iter().map(sighting).collect::<Vec<_>>(),
        "letters": facts.letters.iter().map(|(pipe, id, letter)| json!({
            "id": show_id(*id), "pipe": pipe, "received_ms": letter.received_ms,
            "superseded": letter.superseded,
        })).collect::<Vec<_>>(),
        "parked": facts.parked.iter().map(|parked| json!({
            "pipe": parked.pipe, "shard": parked.shard, "offset": parked.offset,
            "received_ms": parked.received_ms,
        })).collect::<Vec<_>>(),
        "differences": facts.differences.iter().map(|compared| json!({
            "before": compared.before, "after": compared.after,
            "fields": compared.differences.iter().map(super::body::Difference::json)
                .collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
    })
}
