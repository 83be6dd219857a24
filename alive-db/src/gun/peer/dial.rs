//! Peers that we dial, again and again.

use std::{sync::Weak, time::Duration};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    client_async_with_config,
    tungstenite::{client::IntoClientRequest as _, http::Uri},
};
use tokio_util::sync::CancellationToken;

use super::{
    Peer, Shared,
    actor::Command,
    connection::{Connection, Ended, socket_config},
};
use crate::gun::{DropReason, Origin, Side};

/// How long making a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause before the first new attempt; it doubles up to [`LONGEST_PAUSE`], and every pause is drawn between it and its double.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A connection that lasted so long was a good one: the next pause is the first again.
const GOOD: Duration = Duration::from_secs(10);

impl Peer {
    /// Dials a relay, and again whenever the connection breaks, until the peer stops. `http://host:port/gun` and
    /// `ws://host:port/gun` are the same.
    ///
    /// # Errors
    /// It is no such URL.
    pub async fn dial(&self, url: &str) -> Result<(), UrlError> {
        let target = Target::parse(url)?;
        // From now on a put waits for the relay's acknowledgement, even if it is not connected yet.
        self.send(Command::Upstreams).await;
        let (shared, cancel) =
            (std::sync::Arc::downgrade(&self.shared), self.shared.cancel.clone());
        self.shared.tasks.spawn(dial(target, shared, cancel));
        Ok(())
    }
}

/// Where a relay is.
#[derive(Clone, Debug)]
struct Target {
    uri: Uri,
    host: String,
    port: u16,
}

/// Why a text is no address of a relay.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// It is no URL with a host.
    #[error("{0:?} is no URL of a relay, such as http://host:3007/gun")]
    Form(String),
    /// It begins in a way that is not known.
    #[error(
        "a relay is dialled with http:// or ws://, not {0:?}; put a TLS proxy in front for others"
    )]
    Scheme(String),
}

impl Target {
    fn parse(url: &str) -> Result<Self, UrlError> {
        let short = || url.chars().take(32).collect::<String>();
        let uri: Uri = url.parse().map_err(|_| UrlError::Form(short()))?;
        match uri.scheme_str() {
            Some("http" | "ws") => {}
            other => return Err(UrlError::Scheme(other.unwrap_or_default().into())),
        }
        let host = uri.host().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| UrlError::Form(short()))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = uri.port_u16().unwrap_or(80);
        let path = uri.path_and_query().map_or("/gun", |path| match path.as_str() {
            "" | "/" => "/gun",
            path => path,
        });
        let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
        let uri = Uri::builder().scheme("ws").authority(authority).path_and_query(path).build();
        Ok(Self { uri: uri.map_err(|_| UrlError::Form(short()))?, host, port })
    }
}

async fn dial(target: Target, shared: Weak<Shared>, cancel: CancellationToken) {
    let pauses = ExponentialBuilder::default()
        .with_jitter()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .without_max_times();
    let mut pause = pauses.build();
    loop {
        let started = tokio::time::Instant::now();
        let ended = tokio::select! {
            () = cancel.cancelled() => break,
            ended = connect(&target, &shared) => ended,
        };
        match ended {
            Some(Ended::Cancelled) => break,
            // The other way round it is connected: this one is needed only when that ends.
            Some(Ended::Dropped(reason @ (DropReason::AlreadyConnected | DropReason::Oneself))) => {
                tracing::debug!(uri = %target.uri, %reason, "a dialled peer is dropped");
                pause = pauses.with_min_delay(LONGEST_PAUSE).build();
            }
            Some(_) if started.elapsed() >= GOOD => pause = pauses.build(),
            Some(_) | None => {}
        }
        let wait = pause.next().unwrap_or(LONGEST_PAUSE);
        tokio::select! {
            () = cancel.cancelled() => break,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Serves one connection; `None` if it cannot be made.
async fn connect(target: &Target, shared: &Weak<Shared>) -> Option<Ended> {
    // The handle is not held while connected: it would keep the peer alive.
    let (connection, config) = {
        let shared = shared.upgrade()?;
        let config = socket_config(shared.intake.limits().frame_bytes);
        (Connection::new(&shared, Side::Dialled), config)
    };
    let connecting = async {
        let stream = TcpStream::connect((&*target.host, target.port)).await.ok()?;
        stream.set_nodelay(true).ok()?;
        let request = target.uri.clone().into_client_request().ok()?;
        let (socket, _) = client_async_with_config(request, stream, Some(config)).await.ok()?;
        Some(socket)
    };
    let Ok(Some(socket)) = timeout(CONNECT_TIMEOUT, connecting).await else {
        tracing::debug!(uri = %target.uri, "a relay cannot be reached");
        return None;
    };
    // A relay that we have chosen brings what it likes, within the limits of the whole graph.
    Some(connection.run(socket, Origin::OWN).await)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("http://relay.example:3007/gun", "ws://relay.example:3007/gun", "relay.example", 3007)]
    #[case("ws://relay.example/other?x=1", "ws://relay.example/other?x=1", "relay.example", 80)]
    #[case("http://[::1]:80", "ws://[::1]:80/gun", "::1", 80)]
    fn urls_of_relays(#[case] url: &str, #[case] uri: &str, #[case] host: &str, #[case] port: u16) {
        let target = Target::parse(url).unwrap();
        assert_eq!((&*target.uri.to_string(), &*target.host, target.port), (uri, host, port));
    }

    #[rstest]
    #[case("")]
    #[case("relay.example:3007")]
    #[case("ftp://relay.example")]
    #[case("https://relay.example/gun")]
    #[case("http://")]
    fn other_texts_are_no_relay(#[case] url: &str) {
        assert!(Target::parse(url).is_err());
    }
}
