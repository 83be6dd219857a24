//! `/v1/networks`: how far the node has come on each network.

use std::sync::Arc;

use alive_core::{
    Network,
    backend::{Cursor, StoreError, StreamStore as _},
};
use axum::{extract::State, http::StatusCode, response::Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::{Api, error, failed, json, lists::Path};

/// All networks that the node knows.
#[derive(Debug, Serialize, ToSchema)]
struct Networks {
    /// They, by name.
    networks: Vec<Indexed>,
    /// The one that routes without a network speak for.
    own: String,
}

/// A network as far as it is indexed.
#[derive(Debug, Serialize, ToSchema)]
struct Indexed {
    /// Its name.
    network: String,
    /// The last block that was indexed.
    last_block: u64,
    /// The id of that block.
    last_block_id: String,
    /// How many streams it has.
    streams: u64,
}

/// The networks that the node indexes.
#[utoipa::path(
    get,
    path = "/v1/networks",
    operation_id = "networks",
    tag = "streams",
    responses((status = 200, description = "The networks", body = Networks))
)]
pub(in crate::api) async fn networks(State(api): State<Arc<Api>>) -> Response {
    match api.indexed().await {
        Ok(networks) => {
            let own = api.network.to_string();
            json(StatusCode::OK, &Networks { networks, own })
        }
        Err(why) => failed(&why),
    }
}

/// One network.
#[utoipa::path(
    get,
    path = "/v1/networks/{network}",
    operation_id = "network",
    tag = "streams",
    responses((status = 200, description = "The network", body = Indexed))
)]
pub(in crate::api) async fn network(State(api): State<Arc<Api>>, path: Path) -> Response {
    let no_network = || error(StatusCode::NOT_FOUND, "network not found");
    let Some(network) = api.network_of(&path) else { return no_network() };
    match api.store.cursor(&network).await {
        Ok(Some(cursor)) => json(StatusCode::OK, &Indexed::new(&network, cursor)),
        Ok(None) => no_network(),
        Err(why) => failed(&why),
    }
}

impl Api {
    async fn indexed(&self) -> Result<Vec<Indexed>, StoreError> {
        let mut indexed = Vec::new();
        for network in self.store.networks().await? {
            if let Some(cursor) = self.store.cursor(&network).await? {
                indexed.push(Indexed::new(&network, cursor));
            }
        }
        Ok(indexed)
    }
}

impl Indexed {
    fn new(network: &Network, Cursor { last, created }: Cursor) -> Self {
        Self {
            network: network.to_string(),
            last_block: last.num,
            last_block_id: last.id.to_string(),
            streams: created,
        }
    }
}
