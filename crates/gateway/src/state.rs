//! What all requests share.

use std::sync::Arc;

use broker::Broker;
use event::Clock;
use tokio::sync::{Semaphore, watch};

use crate::http::{Connections, HostCheck};
use crate::kinesis::Rates;
use crate::options::GatewayOptions;
use crate::pages::Pages;

/// What all requests share.
pub(crate) struct State {
    pub(crate) options: GatewayOptions,
    pub(crate) broker: Arc<Broker>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) pages: Arc<dyn Pages>,
    pub(crate) hosts: HostCheck,
    pub(crate) connections: Connections,
    /// Bytes of bodies that may still be taken in or given out.
    pub(crate) bytes: Arc<Semaphore>,
    /// Rates of the shards.
    pub(crate) rates: Rates,
    /// Held over "read the settings, change them, write them", of queues and streams.
    pub(crate) settings: tokio::sync::Mutex<()>,
    /// True once the gateway stops: long polls end.
    pub(crate) stopping: watch::Receiver<bool>,
}

impl State {
    /// Ends when the gateway stops.
    pub(crate) async fn stopped(&self) {
        let mut stopping = self.stopping.clone();
        // An error says that the sender is gone, which is a stop as well.
        let _ = stopping.wait_for(|stop| *stop).await;
    }
}
