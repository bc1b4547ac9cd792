//! What a run did, at its end.

use console::now::process;
use console::{report, show};
use event::Outcome;
use pipe::{PipeSummary, RunSummary};

/// For people: a few lines a pipe.
pub(crate) fn text(summary: &RunSummary) -> String {
    summary.pipes.iter().map(one).collect()
}

fn one(pipe: &PipeSummary) -> String {
    let totals = &pipe.totals;
    let count = |outcome: Outcome| totals.outcomes.get(outcome.index()).copied().unwrap_or(0);
    let mut parts = Vec::new();
    for outcome in Outcome::ALL {
        let always = outcome.index() <= Outcome::Rejected.index();
        if always || count(outcome) > 0 {
            parts.push(format!("{} {outcome}", show::count(count(outcome))));
        }
    }
    let mut out = format!(
        "{}: {} received = {}\n",
        pipe.name,
        show::count(totals.received),
        parts.join(" + ")
    );
    let mut line = |text: String| {
        out.push_str("  ");
        out.push_str(&text);
        out.push('\n');
    };
    if totals.received > 0 {
        let seconds = pipe.elapsed.as_secs_f64().max(0.001);
        line(format!(
            "{} in {}, {} events/s, {}",
            show::bytes(totals.bytes),
            show::seconds(pipe.elapsed),
            show::count((totals.received as f64 / seconds) as u64),
            show::counted(totals.batches, "batch"),
        ));
    }
    if totals.reread > 0 {
        line(format!(
            "{} came again and were settled before",
            show::counted(totals.reread, "event")
        ));
    }
    if !totals.reasons.is_empty() {
        let reasons: Vec<_> = totals
            .reasons
            .iter()
            .map(|(reason, count)| format!("{} {reason}", show::count(*count)))
            .collect();
        line(format!("rejected: {}", reasons.join(", ")));
    }
    for remark in &pipe.remarks {
        line(remark.clone());
    }
    if let Some(failure) = &pipe.failure {
        line(format!("stopped: {failure}"));
    }
    out
}

/// For scripts.
pub(crate) fn json(summary: &RunSummary) -> String {
    let pipes: Vec<_> = summary
        .pipes
        .iter()
        .map(|pipe| {
            let totals = &pipe.totals;
            serde_json::json!({
                "pipe": pipe.name,
                "received": totals.received,
                "outcomes": report::outcomes(&totals.outcomes),
                "reread": totals.reread,
                "batches": totals.batches,
                "bytes": totals.bytes,
                "elapsed_ms": u64::try_from(pipe.elapsed.as_millis()).unwrap_or(u64::MAX),
                "rejected_by_reason": totals.reasons,
                "remarks": pipe.remarks,
                "failure": pipe.failure.as_ref().map(ToString::to_string),
            })
        })
        .collect();
    let whole = serde_json::json!({
        "version": 1,
        "pipes": pipes,
        "memory_bytes_peak": process::memory_bytes_peak(),
        "cpu_ms": process::cpu_ms(),
    });
    format!("{whole:#}\n")
}
