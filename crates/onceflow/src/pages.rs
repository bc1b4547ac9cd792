//! Pages of the front door that aren't a service's: metrics, health, alarms.

use std::sync::Arc;

use console::monitor::AlarmReader;
use console::now::{Now, Watch};
use console::{exposition, metrics};
use gateway::{Page, Pages};

/// `/metrics`, `/healthz`, `/readyz` and `/alarms`.
pub(crate) struct ServicePages {
    watch: Arc<Watch>,
    alarms: AlarmReader,
}

impl ServicePages {
    pub(crate) fn new(watch: Arc<Watch>, alarms: AlarmReader) -> ServicePages {
        ServicePages { watch, alarms }
    }
}

impl Pages for ServicePages {
    fn page(&self, path: &str) -> Option<Page> {
        match path {
            "/metrics" => Some(Page {
                status: 200,
                content_type: exposition::CONTENT_TYPE,
                body: metrics::page(&self.watch.now(), env!("CARGO_PKG_VERSION")).into_bytes(),
            }),
            // It answers, so it lives.
            "/healthz" => Some(text(200, "ok\n".to_owned())),
            "/readyz" => Some(readiness(&self.watch.now())),
            "/alarms" => Some(Page {
                status: 200,
                content_type: "application/json",
                body: serde_json::to_vec(&self.alarms.alarms()).unwrap_or_default(),
            }),
            _ => None,
        }
    }
}

/// Ready when every pipe reads, or has read all there is; else 503 with a line per pipe that isn't.
fn readiness(now: &Now) -> Page {
    let mut not_ready = String::new();
    for pipe in &now.pipes {
        if !matches!(pipe.phase, "running" | "ended") {
            let why = pipe.failure.as_deref().unwrap_or("it recovers");
            not_ready.push_str(&format!("pipe {}: {}: {why}\n", pipe.name, pipe.phase));
        }
    }
    if not_ready.is_empty() { text(200, "ready\n".to_owned()) } else { text(503, not_ready) }
}

fn text(status: u16, text: String) -> Page {
    Page { status, content_type: "text/plain; charset=utf-8", body: text.into_bytes() }
}
