//! One HTTP exchange with a node: [`Wire`].

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alive_core::Timestamp;
use reqwest::{StatusCode, Url, header::RETRY_AFTER, redirect};

use super::{config::RpcConfig, error::RpcError};

/// A pause that a node asks for without saying in seconds how long.
const DEFAULT_PAUSE: Duration = Duration::from_secs(5);

/// How requests get to nodes.
#[derive(Debug)]
pub(super) enum Wire {
    Http(reqwest::Client),
    /// Nodes in memory, for tests under a paused clock.
    #[cfg(test)]
    Sim(std::sync::Arc<super::sim::Net>),
}

/// What came back, whatever it is.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) body: Vec<u8>,
    /// How long the node asks to be left alone.
    pub(super) pause: Option<Duration>,
    pub(super) status: StatusCode,
}

impl Wire {
    pub(super) fn http(config: &RpcConfig) -> Result<Self, RpcError> {
        // A node that sends us elsewhere could have a signed transaction posted to an address of its choice.
        let client = reqwest::Client::builder()
            .connect_timeout(config.connect_timeout)
            .timeout(config.timeout)
            .pool_idle_timeout(Duration::from_secs(30))
            .redirect(redirect::Policy::none())
            .build();
        client.map(Self::Http).map_err(|error| RpcError::Client(error.into()))
    }

    /// The clock on the wall, which only ever decides which node is asked first.
    pub(super) fn clock(&self) -> Timestamp {
        match self {
            Self::Http(_) => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp::EPOCH.after(since)
            }
            #[cfg(test)]
            Self::Sim(net) => net.clock(),
        }
    }

    /// Posts a body and reads the answer of at most `limit` bytes.
    pub(super) async fn post(
        &self,
        node: &Url,
        body: String,
        limit: usize,
    ) -> Result<Reply, RpcError> {
        match self {
            Self::Http(client) => {
                let request = client.post(node.clone()).header("content-type", "application/json");
                let response = request.body(body).send().await.map_err(transport)?;
                let (status, pause) = (response.status(), pause_of(&response));
                // The status already says it all; the body of an overloaded node may be long in coming.
                let body = read(response, limit).await;
                let body = if pause.is_some() { body.unwrap_or_default() } else { body? };
                Ok(Reply { body, pause, status })
            }
            #[cfg(test)]
            Self::Sim(net) => net.post(node, &body).await,
        }
    }
}

async fn read(mut response: reqwest::Response, limit: usize) -> Result<Vec<u8>, RpcError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(transport)? {
        if body.len() + chunk.len() > limit {
            return Err(RpcError::TooLong { limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn pause_of(response: &reqwest::Response) -> Option<Duration> {
    let asks = matches!(
        response.status(),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    );
    let header = response.headers().get(RETRY_AFTER).filter(|_| asks)?;
    let secs = header.to_str().ok().and_then(|text| text.trim().parse().ok());
    // The other form is a date, which says no more than that a pause is wanted when the clocks differ.
    Some(secs.map_or(DEFAULT_PAUSE, Duration::from_secs))
}

/// The address stays out of the text: it may hold a password.
fn transport(error: reqwest::Error) -> RpcError {
    RpcError::Transport(error.without_url().into())
}
