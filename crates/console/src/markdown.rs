//! A report as Markdown.

mod delivery;

use std::fmt::Write as _;

use crate::report::{Balance, Outcomes, PipeReport, Report, RunState};
use crate::show;
use crate::table::Table;

/// Event types that a pipe's table shows; the rest is summed up. `--json` has all of them.
const TYPES_SHOWN_MAX: usize = 50;

/// The whole report.
#[must_use]
pub fn report(report: &Report) -> String {
    let mut out = format!("# Onceflow report\n\nData folder: `{}`\n\n", report.data_dir.display());
    let run = match report.run {
        RunState::Running { pid: Some(pid) } => format!("running, process {pid}"),
        RunState::Running { pid: None } => "running".to_owned(),
        RunState::Ended { at_ms } => format!("ended in order at {}", show::time(at_ms)),
        RunState::Killed => "was killed".to_owned(),
        RunState::Unknown => "unknown".to_owned(),
    };
    // Writing to a String can't fail.
    let _ = writeln!(out, "Made at {}. The last run: {run}.\n", report.made_at);
    if report.pipes.is_empty() {
        out.push_str("No pipe has run here yet.\n\n");
    } else {
        pipes(report, &mut out);
    }
    for pipe in &report.pipes {
        types(pipe, &mut out);
    }
    delivery::sinks(report, &mut out);
    delivery::dead(report, &mut out);
    conservation(report, &mut out);
    scopes(report, &mut out);
    broker(report, &mut out);
    tables(report, &mut out);
    storage(report, &mut out);
    if !report.remarks.is_empty() {
        list("Remarks of the last run", &report.remarks, &mut out);
    }
    list("Warnings", &report.warnings, &mut out);
    list("Errors", &report.errors, &mut out);
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn get(outcomes: &Outcomes, name: &str) -> String {
    show::count(outcomes.get(name).copied().unwrap_or(0))
}

fn pipes(report: &Report, out: &mut String) {
    let mut table = Table::new(&[
        "pipe",
        "#invocations",
        "#batches",
        "#received",
        "#delivered",
        "#duplicates prevented",
        "#filtered",
        "#rejected",
        "#dead",
        "#in flight",
        "#reread",
        "#expired",
    ]);
    for pipe in &report.pipes {
        table.row([
            pipe.pipe.clone(),
            show::count(pipe.invocations),
            show::count(pipe.batches),
            show::count(pipe.received),
            get(&pipe.outcomes, "delivered"),
            show::count(pipe.duplicates_prevented),
            get(&pipe.outcomes, "filtered"),
            get(&pipe.outcomes, "rejected"),
            get(&pipe.outcomes, "dead"),
            show::count(pipe.in_flight),
            show::count(pipe.reread),
            show::count(pipe.expired),
        ]);
    }
    let _ = writeln!(out, "## Pipes\n\n{}", table.markdown());
    for pipe in &report.pipes {
        if pipe.other_body + pipe.no_key + pipe.refreshed > 0 {
            let _ = writeln!(
                out,
                "{}: same key with another body {}, without a key {}, windows refreshed {}.\n",
                pipe.pipe,
                show::count(pipe.other_body),
                show::count(pipe.no_key),
                show::count(pipe.refreshed),
            );
        }
    }
}

fn types(pipe: &PipeReport, out: &mut String) {
    let mut sorted: Vec<_> = pipe.types.iter().collect();
    sorted.sort_by_key(|one| std::cmp::Reverse(one.settled));
    let names = ["delivered", "duplicate", "filtered", "rejected", "dead", "returned"];
    let mut table = Table::new(&[
        "type",
        "#settled",
        "#delivered",
        "#duplicate",
        "#filtered",
        "#rejected",
        "#dead",
        "#returned",
    ]);
    let counts = |outcomes: &Outcomes| names.map(|name| get(outcomes, name));
    // A row for one more type would be as long as the type's own.
    let shown = if sorted.len() == TYPES_SHOWN_MAX + 1 { sorted.len() } else { TYPES_SHOWN_MAX };
    for one in sorted.iter().take(shown) {
        let first = [one.name.clone(), show::count(one.settled)];
        table.row(first.into_iter().chain(counts(&one.outcomes)));
    }
    let rest = sorted.get(shown..).unwrap_or(&[]);
    if !rest.is_empty() {
        let mut sum = Outcomes::new();
        for one in rest {
            for (name, count) in &one.outcomes {
                *sum.entry(name).or_default() += count;
            }
        }
        let name = format!("{} more types", rest.len());
        let first = [name, show::count(rest.iter().map(|one| one.settled).sum())];
        table.row(first.into_iter().chain(counts(&sum)));
    }
    if !table.is_empty() {
        let _ = writeln!(out, "## Pipe {} by event type\n\n{}", pipe.pipe, table.markdown());
    }
    if !pipe.rejected_by_reason.is_empty() {
        let mut table = Table::new(&["reason", "#events"]);
        for (reason, count) in &pipe.rejected_by_reason {
            table.row([reason.clone(), show::count(*count)]);
        }
        let _ = writeln!(out, "Rejected in the last run, by reason:\n\n{}", table.markdown());
    }
}

/// Both sides of P4, as one line of text.
#[must_use]
pub fn balance(balance: &Balance) -> String {
    let mut parts: Vec<String> =
        ["delivered", "duplicate", "filtered", "rejected", "dead", "returned"]
            .iter()
            .filter_map(|name| {
                let count = balance.outcomes.get(name).copied().unwrap_or(0);
                let always = matches!(*name, "delivered" | "duplicate" | "filtered" | "rejected");
                (always || count > 0).then(|| format!("{} {name}", show::count(count)))
            })
            .collect();
    parts.push(format!("{} in flight", show::count(balance.in_flight)));
    let sign = if balance.received == balance.accounted { "=" } else { "≠" };
    format!("{} received {sign} {}", show::count(balance.received), parts.join(" + "))
}

fn conservation(report: &Report, out: &mut String) {
    if report.conservation.is_empty() {
        return;
    }
    out.push_str("## Conservation\n\n");
    out.push_str("Left: counted where the source hands events over. Right: where they settle.\n\n");
    for side in &report.conservation {
        let verdict = if side.balanced { "balanced in every minute" } else { "NOT BALANCED" };
        let _ =
            writeln!(out, "- {} from `{}`: {}; {verdict}", side.pipe, side.source, balance(side));
    }
    out.push('\n');
    if report.imbalances.is_empty() {
        return;
    }
    let mut table = Table::new(&[
        "pipe",
        "source",
        "from",
        "#minutes",
        "#received",
        "#accounted",
        "#since batch",
    ]);
    for found in &report.imbalances {
        table.row([
            found.pipe.clone(),
            found.source.clone(),
            found.from.clone(),
            show::count(found.minutes.into()),
            show::count(found.received),
            show::count(found.accounted),
            found.batch.map_or("unknown".to_owned(), |batch| batch.to_string()),
        ]);
    }
    let _ = writeln!(out, "{}", table.markdown());
}

fn scopes(report: &Report, out: &mut String) {
    if report.scopes.is_empty() {
        return;
    }
    let mut table =
        Table::new(&["scope", "#key fields", "across types", "#keys committed", "#key runs"]);
    for scope in &report.scopes {
        table.row([
            scope.scope.clone(),
            scope.fields.to_string(),
            if scope.across_types { "yes" } else { "no" }.to_owned(),
            show::count(scope.keys_committed),
            show::count(scope.key_runs),
        ]);
    }
    let _ = writeln!(out, "## Scopes\n\n{}", table.markdown());
    for scope in report.scopes.iter().filter(|scope| scope.keys_imported > 0) {
        let (scope, keys) = (&scope.scope, show::count(scope.keys_imported));
        let _ = writeln!(out, "{scope}: {keys} keys were imported.\n");
    }
}

fn broker(report: &Report, out: &mut String) {
    let Some(broker) = &report.broker else { return };
    if broker.queues.is_empty() && broker.streams.is_empty() {
        return;
    }
    let _ = writeln!(out, "## Broker\n\nAs seen at {}.\n", show::time(broker.at_ms));
    if !broker.queues.is_empty() {
        let mut table = Table::new(&[
            "queue",
            "#visible",
            "#in flight",
            "#delayed",
            "#oldest",
            "#sent",
            "#expired",
        ]);
        for queue in &broker.queues {
            table.row([
                queue.queue.clone(),
                show::count(queue.visible),
                show::count(queue.in_flight),
                show::count(queue.delayed),
                age(queue.oldest_age_ms),
                show::count(queue.sent),
                show::count(queue.expired),
            ]);
        }
        let _ = writeln!(out, "{}", table.markdown());
    }
    if !broker.streams.is_empty() {
        let mut table = Table::new(&["stream", "#shards", "#records", "#oldest", "#put", "#size"]);
        for stream in &broker.streams {
            table.row([
                stream.stream.clone(),
                show::count(stream.shards),
                show::count(stream.records),
                age(stream.oldest_age_ms),
                show::count(stream.put),
                show::bytes(stream.bytes),
            ]);
        }
        let _ = writeln!(out, "{}", table.markdown());
    }
}

fn tables(report: &Report, out: &mut String) {
    if report.tables.is_empty() {
        return;
    }
    let mut table = Table::new(&[
        "lake",
        "partition",
        "#rows",
        "#files",
        "#folders",
        "#size",
        "#columns",
        "#rescued",
        "#waiting files",
    ]);
    for one in &report.tables {
        table.row([
            one.lake.display().to_string(),
            one.partition.join(", "),
            show::count(one.rows),
            show::count(one.files),
            show::count(one.partitions),
            show::bytes(one.bytes),
            show::count(one.columns),
            show::count(one.rows_rescued),
            show::count(one.staging_files),
        ]);
    }
    let _ = writeln!(out, "## Tables\n\n{}", table.markdown());
}

fn age(ms: i64) -> String {
    show::seconds(std::time::Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
}

fn storage(report: &Report, out: &mut String) {
    let mut table = Table::new(&["tier", "pipe", "#files", "#size", "path"]);
    for tier in &report.storage.tiers {
        table.row([
            tier.name.to_owned(),
            tier.pipe.clone().unwrap_or_default(),
            show::count(tier.files),
            show::bytes(tier.bytes),
            tier.path.display().to_string(),
        ]);
    }
    table.row([
        "together".to_owned(),
        String::new(),
        String::new(),
        show::bytes(report.storage.bytes()),
    ]);
    let _ = writeln!(out, "## Storage\n\n{}", table.markdown());
}

fn list(title: &str, lines: &[String], out: &mut String) {
    let _ = writeln!(out, "## {title}\n");
    if lines.is_empty() {
        out.push_str("None.\n");
    }
    for line in lines {
        let _ = writeln!(out, "- {}", line.replace('\n', " "));
    }
    out.push('\n');
}
