//! `generate`: reads the description, opens the output, hands over to [`crate::generate`].

use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::time::{Duration, Instant};

use console::show;

use crate::exit::{Exit, Failure};
use crate::generate::{
    self, Asked, Delivery, FieldName, Made, Maker, Order, Pace, RealTime, Spec, Stopwatch, Target,
    To,
};
use crate::print::{out, written};
use crate::progress::MovingLine;

pub(crate) fn generate(asked: &Asked, moving: &MovingLine) -> Result<Exit, Failure> {
    let config = &asked.config;
    let text = std::fs::read_to_string(config)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", config.display())))?;
    let spec = generate::load(config, &text).map_err(Failure::usage)?;
    check(asked, &spec)?;
    let tells = !matches!(asked.to, To::Stdout(generate::Format::Lines))
        && !matches!(asked.to, To::File(_, generate::Format::Lines));
    let mut maker = Maker::new(&spec, &asked.amount, tells, asked.partition_key.as_ref());
    let order = Order::new(&asked.amount);
    let mut pace = Pace::new(asked.rate);
    let mut watch = RealTime::start();
    let began = Instant::now();
    let pacing = (&mut pace, &mut watch as &mut dyn Stopwatch);
    let terminal = io::stderr().is_terminal();
    let progress = |what: &'static str| {
        move |events: u64| {
            if terminal {
                moving.show(&format!("{} {what}", show::counted(events, "event")));
            }
        }
    };
    match &asked.to {
        To::Stdout(format) => {
            let mut stdout = io::stdout().lock();
            let result = generate::write(&mut maker, order, *format, pacing, &mut stdout, &|_| ());
            written(result.map(drop))
        }
        To::File(path, format) => {
            let mut options = std::fs::OpenOptions::new();
            let cannot = |error: io::Error| {
                Failure::new(Exit::Failed, format!("cannot write {}: {error}", path.display()))
            };
            let mut file =
                options.write(true).create(true).truncate(true).open(path).map_err(cannot)?;
            let progress = progress("written");
            let made = generate::write(&mut maker, order, *format, pacing, &mut file, &progress);
            moving.clear();
            file_summary(&made.map_err(cannot)?, began.elapsed(), path, asked.json)
        }
        To::Wire(target, acknowledged) => {
            let (file, progress) = (acknowledged.as_deref(), progress("acknowledged"));
            let delivery = generate::send(&mut maker, order, target, file, pacing, &progress);
            moving.clear();
            let delivery = delivery.map_err(|error| Failure::new(Exit::Connector, error))?;
            wire_summary(&delivery, target, asked.json)
        }
    }
}

/// What the options ask of the description.
fn check(asked: &Asked, spec: &Spec) -> Result<(), Failure> {
    let file = asked.config.display();
    if let Some(name) = &asked.partition_key {
        let lacks = |name: &FieldName| spec.kinds.iter().find(|kind| !kind.has(name));
        if let Some(kind) = lacks(name) {
            return Err(Failure::usage(format!(
                "--partition-key: `{}` of {file} has no field `{}`",
                kind.name,
                name.join(".")
            )));
        }
    }
    if asked.amount.other_bodies > 0 {
        if spec.key.is_empty() {
            return Err(Failure::usage(format!(
                "--duplicates-other-body: {file} doesn't say what stays the same; \
                 add `key: FIELD` to it"
            )));
        }
        if let Some(kind) = spec.kinds.iter().find(|kind| kind.other_field(spec).is_none()) {
            return Err(Failure::usage(format!(
                "--duplicates-other-body: in {file}, `{}` has no field outside of its key that \
                 could differ",
                kind.name
            )));
        }
    }
    Ok(())
}

fn per_second(events: u64, elapsed: Duration) -> u64 {
    (events as f64 / elapsed.as_secs_f64().max(0.001)) as u64
}

fn millis(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

/// `1,000 events: 880 new, 100 copies, 20 with another body; 50 late`.
fn sorts(made: &Made) -> String {
    let mut text =
        format!("{}: {} new", show::counted(made.events(), "event"), show::count(made.new));
    for (count, what) in
        [(made.duplicates, "exact copies"), (made.other_bodies, "copies with another body")]
    {
        if count > 0 {
            text.push_str(&format!(" + {} {what}", show::count(count)));
        }
    }
    if made.late > 0 {
        text.push_str(&format!("; {} late", show::count(made.late)));
    }
    text
}

fn file_summary(made: &Made, elapsed: Duration, path: &Path, json: bool) -> Result<Exit, Failure> {
    if json {
        let mut summary = made_json(made);
        summary.insert("elapsed_ms".to_owned(), millis(elapsed).into());
        summary.insert("per_second".to_owned(), per_second(made.events(), elapsed).into());
        return out(format!("{:#}\n", serde_json::Value::Object(summary)));
    }
    eprintln!(
        "{}\n  {} in {} to {}, {} events/s",
        sorts(made),
        show::bytes(made.bytes),
        show::seconds(elapsed),
        path.display(),
        show::count(per_second(made.events(), elapsed)),
    );
    Ok(Exit::Ok)
}

fn made_json(made: &Made) -> serde_json::Map<String, serde_json::Value> {
    let fields = [
        ("version", 1),
        ("events", made.events()),
        ("new", made.new),
        ("duplicates", made.duplicates),
        ("duplicates_other_body", made.other_bodies),
        ("late", made.late),
        ("bytes", made.bytes),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

fn wire_summary(delivery: &Delivery, target: &Target, json: bool) -> Result<Exit, Failure> {
    let rate = per_second(delivery.acknowledged, delivery.elapsed);
    if json {
        let mut summary = made_json(&delivery.made);
        for (name, value) in [
            ("sent", delivery.sent),
            ("acknowledged", delivery.acknowledged),
            ("retried", delivery.retried),
            ("elapsed_ms", millis(delivery.elapsed)),
            ("per_second", rate),
        ] {
            summary.insert(name.to_owned(), value.into());
        }
        summary.insert("failure".to_owned(), delivery.failure.clone().into());
        out(format!("{:#}\n", serde_json::Value::Object(summary)))?;
    } else {
        eprintln!(
            "{}\n  {} sent to {}, {} acknowledged, {} sent again; {}, {} acknowledged/s",
            sorts(&delivery.made),
            show::count(delivery.sent),
            target.place(),
            show::count(delivery.acknowledged),
            show::count(delivery.retried),
            show::seconds(delivery.elapsed),
            show::count(rate),
        );
    }
    match &delivery.failure {
        None => Ok(Exit::Ok),
        Some(failure) => Err(Failure::new(Exit::Connector, failure)),
    }
}
