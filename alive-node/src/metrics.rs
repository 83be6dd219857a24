//! What a node counts, as Prometheus reads it: [`Metrics`].

use std::{sync::Arc, time::Duration};

use alive_core::{Network, backend::Cursor};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::Registry,
};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_util::sync::CancellationToken;

use crate::event::NodeEvent;

/// Counts of one node. A clone is another handle.
#[derive(Clone, Debug)]
pub(crate) struct Metrics(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    registry: Registry,
    requests: Family<Answer, Counter>,
    seconds: Family<Route, Histogram, fn() -> Histogram>,
    limited: Counter,
    connections: Gauge,
    refused: Counter,
    last_block: Family<Chain, Gauge>,
    streams: Family<Chain, Gauge>,
    undone: Family<Chain, Counter>,
    playlists: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answer {
    route: String,
    method: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Chain {
    network: String,
}

impl Metrics {
    /// The form that [`text`](Self::text) is in.
    pub(crate) const CONTENT_TYPE: &str =
        "application/openmetrics-text; version=1.0.0; charset=utf-8";

    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// With counts that others keep.
    pub(crate) fn with(register: impl FnOnce(&mut Registry)) -> Self {
        let mut registry = Registry::with_prefix("alive");
        let seconds: Family<Route, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(histogram);
        let counts = Counts {
            requests: Family::default(),
            seconds,
            limited: Counter::default(),
            connections: Gauge::default(),
            refused: Counter::default(),
            last_block: Family::default(),
            streams: Family::default(),
            undone: Family::default(),
            playlists: Gauge::default(),
            registry: Registry::default(),
        };
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("node", "The node", version);
        registry.register("http_requests", "Requests answered", counts.requests.clone());
        let text = "Seconds from a request to the beginning of its answer";
        registry.register("http_request_seconds", text, counts.seconds.clone());
        let text = "Requests refused because their address asks too often";
        registry.register("http_requests_limited", text, counts.limited.clone());
        registry.register("http_connections", "Open connections", counts.connections.clone());
        let text = "Connections refused because their address has too many";
        registry.register("http_connections_refused", text, counts.refused.clone());
        registry.register("index_last_block", "The last indexed block", counts.last_block.clone());
        registry.register("index_streams", "Streams of a network", counts.streams.clone());
        let text = "Blocks taken back because a fork replaced them";
        registry.register("index_blocks_undone", text, counts.undone.clone());
        registry.register("playlists", "Playlists kept ready", counts.playlists.clone());
        register(&mut registry);
        Self(Arc::new(Counts { registry, ..counts }))
    }

    /// Counts an answer that began after a time.
    pub(crate) fn answered(&self, route: &str, method: &str, status: u16, after: Duration) {
        // Only these are answered; anybody could make up others.
        let method = match method {
            "GET" => "GET",
            "HEAD" => "HEAD",
            "OPTIONS" => "OPTIONS",
            _ => "other",
        };
        let route = route.to_owned();
        let answer = Answer { route: route.clone(), method, status };
        self.0.requests.get_or_create(&answer).inc();
        self.0.seconds.get_or_create(&Route { route }).observe(after.as_secs_f64());
    }

    /// What counts the answers to `GET` of one route, without looking for its counts each time.
    pub(crate) fn route(&self, route: &'static str) -> RouteCounts {
        let answer = Answer { route: route.to_owned(), method: "GET", status: 200 };
        RouteCounts {
            good: self.0.requests.get_or_create_owned(&answer),
            seconds: self.0.seconds.get_or_create_owned(&Route { route: route.to_owned() }),
            metrics: self.clone(),
            route,
        }
    }

    /// Counts a request that was one too many.
    pub(crate) fn limited(&self) {
        self.0.limited.inc();
    }

    /// Counts a connection that was one too many.
    pub(crate) fn refused(&self) {
        self.0.refused.inc();
    }

    /// Counts a connection until this is dropped.
    pub(crate) fn connected(&self) -> Connected {
        self.0.connections.inc();
        Connected(self.0.connections.clone())
    }

    /// Notes how far a network is indexed.
    pub(crate) fn indexed(&self, network: &Network, Cursor { last, created }: &Cursor) {
        let chain = Chain { network: network.to_string() };
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.0.last_block.get_or_create(&chain).set(number(last.num));
        self.0.streams.get_or_create(&chain).set(number(*created));
    }

    /// Notes how many playlists are kept.
    pub(crate) fn playlists(&self, count: usize) {
        self.0.playlists.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Counts what happens until it is cancelled.
    pub(crate) async fn follow(self, mut events: Receiver<NodeEvent>, cancel: CancellationToken) {
        while let Some(event) = cancel.run_until_cancelled(events.recv()).await {
            match event {
                Ok(NodeEvent::BlockUndone { network, .. }) => {
                    let chain = Chain { network: network.to_string() };
                    self.0.undone.get_or_create(&chain).inc();
                }
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// All counts, in the form of `OpenMetrics`.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a text does not fail.
        let _ = encode(&mut text, &self.0.registry);
        text
    }
}

/// The counts of one route.
#[derive(Clone, Debug)]
pub(crate) struct RouteCounts {
    good: Counter,
    seconds: Histogram,
    metrics: Metrics,
    route: &'static str,
}

impl RouteCounts {
    /// Counts an answer that began after a time.
    pub(crate) fn answered(&self, status: u16, after: Duration) {
        if status == 200 {
            self.good.inc();
            self.seconds.observe(after.as_secs_f64());
        } else {
            self.metrics.answered(self.route, "GET", status, after);
        }
    }
}

/// A connection that is counted.
#[derive(Debug)]
pub(crate) struct Connected(Gauge);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// From half a millisecond to a minute: a list that is ready takes less than the first, a blocking reload up to the last.
fn histogram() -> Histogram {
    Histogram::new([
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0,
    ])
}
