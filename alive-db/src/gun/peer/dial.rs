//! Peers that we dial, again and again.

use std::{
    hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher},
    sync::Weak,
    time::Duration,
};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{client::IntoClientRequest as _, http::Uri, protocol::WebSocketConfig},
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

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Peer {
    /// Dials a relay, and again whenever the connection breaks, until the peer stops. `http://host:port/gun` and
    /// `ws://host:port/gun` are the same. So are `https://` and `wss://`, with feature `tls`: over TLS, with a certificate
    /// of the host by an authority that the system trusts or [`PeerConfig::roots`](super::PeerConfig::roots) names.
    ///
    /// # Errors
    /// It is no such URL, or the certificate authorities cannot be read.
    pub async fn dial(&self, url: &str) -> Result<(), UrlError> {
        #[cfg(not(feature = "tls"))]
        let target = Target::parse(url)?;
        #[cfg(feature = "tls")]
        let mut target = Target::parse(url)?;
        #[cfg(feature = "tls")]
        if target.is_secure {
            let roots = std::sync::Arc::clone(&self.shared.roots);
            target.tls = Some(super::tls::Tls::load(roots, &target.host).await?);
        }
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
    #[cfg(feature = "tls")]
    is_secure: bool,
    #[cfg(feature = "tls")]
    tls: Option<super::tls::Tls>,
}

/// Why a text is no address of a relay.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// It is no URL with a host.
    #[error("{0:?} is no URL of a relay, such as http://host:3007/gun")]
    Form(String),
    /// It begins in a way that is not known.
    #[error("a relay is dialled with {SCHEMES}, not {0:?}")]
    Scheme(String),
    /// A connection over TLS cannot be prepared, mostly for want of certificate authorities.
    #[cfg(feature = "tls")]
    #[error("a relay cannot be dialled over TLS: {0}")]
    Tls(String),
}

#[cfg(feature = "tls")]
const SCHEMES: &str = "http://, ws://, https:// or wss://";
#[cfg(not(feature = "tls"))]
const SCHEMES: &str = "http:// or ws:// (this build has no TLS)";

impl Target {
    fn parse(url: &str) -> Result<Self, UrlError> {
        let short = || url.chars().take(32).collect::<String>();
        let uri: Uri = url.parse().map_err(|_| UrlError::Form(short()))?;
        let is_secure = match uri.scheme_str() {
            Some("http" | "ws") => false,
            Some("https" | "wss") if cfg!(feature = "tls") => true,
            other => return Err(UrlError::Scheme(other.unwrap_or_default().into())),
        };
        let host = uri.host().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| UrlError::Form(short()))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        let path = uri.path_and_query().map_or("/gun", |path| match path.as_str() {
            "" | "/" => "/gun",
            path => path,
        });
        let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
        let scheme = if is_secure { "wss" } else { "ws" };
        let uri = Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build();
        let uri = uri.map_err(|_| UrlError::Form(short()))?;
        Ok(Self {
            uri,
            host,
            port,
            #[cfg(feature = "tls")]
            is_secure,
            #[cfg(feature = "tls")]
            tls: None,
        })
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
    let reached = timeout(CONNECT_TIMEOUT, reach(target, config)).await;
    let socket = match reached.unwrap_or_else(|late| Err(late.into())) {
        Ok(socket) => socket,
        Err(error) => {
            connection.count_failure();
            tracing::debug!(uri = %target.uri, error, "a relay cannot be reached");
            return None;
        }
    };
    // A relay that we have chosen brings what it likes, within the limits of the whole graph.
    let origin = Origin::of_relay(BuildHasherDefault::<DefaultHasher>::new().hash_one(&target.uri));
    Some(match socket {
        Socket::Plain(socket) => connection.run(*socket, origin).await,
        #[cfg(feature = "tls")]
        Socket::Tls(socket) => connection.run(*socket, origin).await,
    })
}

/// A connection that was made.
#[derive(Debug)]
enum Socket {
    Plain(Box<WebSocketStream<TcpStream>>),
    #[cfg(feature = "tls")]
    Tls(Box<WebSocketStream<super::tls::TlsStream>>),
}

async fn reach(target: &Target, config: WebSocketConfig) -> Result<Socket, BoxError> {
    let stream = TcpStream::connect((&*target.host, target.port)).await?;
    stream.set_nodelay(true)?;
    #[cfg(feature = "tls")]
    if let Some(tls) = &target.tls {
        let stream = tls.connect(stream).await?;
        return Ok(Socket::Tls(Box::new(shake_hands(target, stream, config).await?)));
    }
    Ok(Socket::Plain(Box::new(shake_hands(target, stream, config).await?)))
}

async fn shake_hands<S: AsyncRead + AsyncWrite + Unpin>(
    target: &Target,
    stream: S,
    config: WebSocketConfig,
) -> Result<WebSocketStream<S>, BoxError> {
    let request = target.uri.clone().into_client_request()?;
    Ok(client_async_with_config(request, stream, Some(config)).await?.0)
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
    #[case("http://")]
    fn other_texts_are_no_relay(#[case] url: &str) {
        assert!(Target::parse(url).is_err());
    }

    #[cfg(feature = "tls")]
    #[rstest]
    #[case("https://relay.example/gun", "wss://relay.example/gun", "relay.example", 443)]
    #[case("wss://[::1]:3007", "wss://[::1]:3007/gun", "::1", 3007)]
    fn over_tls(#[case] url: &str, #[case] uri: &str, #[case] host: &str, #[case] port: u16) {
        let target = Target::parse(url).unwrap();
        assert!(target.is_secure);
        assert_eq!((&*target.uri.to_string(), &*target.host, target.port), (uri, host, port));
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn without_tls_a_secure_relay_is_refused_and_not_dialled_openly() {
        let refused = Target::parse("wss://relay.example/gun").unwrap_err();
        assert_eq!(refused, UrlError::Scheme("wss".into()));
    }
}
