//! What the embedded broker's refusals mean to a source or a sink.

use broker::BrokerError;
use event::sink::SinkError;
use event::source::SourceError;

/// What is left to say where something is missing.
fn existing(kind: &str, names: &[String]) -> String {
    if names.is_empty() {
        format!("The broker has no {kind} at all")
    } else {
        format!("The broker's {kind}: {}", names.join(", "))
    }
}

/// A source's view of a refusal. `what` names the queue or stream, e.g. "queue `orders`".
pub(crate) fn source(what: &str, error: BrokerError) -> SourceError {
    match error {
        BrokerError::NoSuchQueue { existing: names, .. } => SourceError::Changed {
            what: format!("{what} is not there: it was deleted while the pipe read it"),
            help: format!("{}. Start the pipe again to make a new one", existing("queues", &names)),
        },
        BrokerError::NoSuchStream { existing: names, .. } => SourceError::Changed {
            what: format!("{what} is not there: it was deleted while the pipe read it"),
            help: format!(
                "{}. Start the pipe again to make a new one",
                existing("streams", &names)
            ),
        },
        other => SourceError::Io { what: what.to_owned(), error: std::io::Error::other(other) },
    }
}

/// A sink's view of a refusal.
pub(crate) fn sink(action: &'static str, what: &str, error: BrokerError) -> SinkError {
    match error {
        BrokerError::NoSpace { .. } => SinkError::NoSpace { what: what.to_owned() },
        BrokerError::NoSuchQueue { existing: names, .. } => SinkError::Foreign {
            what: format!("{what} is not there: it was deleted while the pipe wrote to it"),
            help: format!("{}. Start the pipe again to make a new one", existing("queues", &names)),
        },
        BrokerError::NoSuchStream { existing: names, .. } => SinkError::Foreign {
            what: format!("{what} is not there: it was deleted while the pipe wrote to it"),
            help: format!(
                "{}. Start the pipe again to make a new one",
                existing("streams", &names)
            ),
        },
        other => {
            SinkError::Io { action, what: what.to_owned(), error: std::io::Error::other(other) }
        }
    }
}
