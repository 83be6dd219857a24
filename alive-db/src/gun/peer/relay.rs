//! Takes connections of other peers: [`Relay`].

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_tungstenite::{
    accept_hdr_async_with_config,
    tungstenite::{
        handshake::server::{ErrorResponse, Request, Response},
        http::StatusCode,
    },
};

use super::{
    Peer,
    connection::{Connection, socket_config},
};
use crate::gun::{Origin, Side};

/// How long the handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause when the system gives no connection, such as without free file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How many connections a relay takes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RelayLimits {
    /// In all. 20,000.
    pub links: usize,
    /// From one address. 500.
    pub links_per_address: usize,
}

impl Default for RelayLimits {
    fn default() -> Self {
        Self { links: 20_000, links_per_address: 500 }
    }
}

impl RelayLimits {
    /// Sets [`links`](Self::links).
    #[must_use]
    pub fn links(self, links: usize) -> Self {
        Self { links, ..self }
    }

    /// Sets [`links_per_address`](Self::links_per_address).
    #[must_use]
    pub fn links_per_address(self, links_per_address: usize) -> Self {
        Self { links_per_address, ..self }
    }
}

/// Takes connections of other peers at `/gun`, until its peer stops.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// use alive_db::gun::{Anyone, Peer, PeerConfig, Relay, RelayLimits};
/// let peer = Peer::start(PeerConfig::default(), Anyone)?;
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let relay = Relay::start(&peer, listener, RelayLimits::default())?;
/// assert!(relay.url().starts_with("http://127.0.0.1:"));
/// peer.stop().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Relay {
    address: SocketAddr,
}

impl Relay {
    /// Starts taking connections on the current tokio runtime.
    ///
    /// # Errors
    /// The listener has no address.
    pub fn start(peer: &Peer, listener: TcpListener, limits: RelayLimits) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let door = Door {
            limits,
            hasher: RandomState::new(),
            taken: Arc::default(),
            shared: Arc::downgrade(&peer.shared),
        };
        let cancel = peer.shared.cancel.clone();
        peer.shared.tasks.spawn(async move {
            tokio::select! {
                () = cancel.cancelled() => {}
                () = door.accept(listener) => {}
            }
        });
        Ok(Self { address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL that other peers dial, if they reach this address.
    pub fn url(&self) -> String {
        format!("http://{}/gun", self.address)
    }
}

#[derive(Debug)]
struct Door {
    limits: RelayLimits,
    hasher: RandomState,
    taken: Arc<Mutex<Taken>>,
    shared: std::sync::Weak<super::Shared>,
}

/// Connections that are open.
#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// The place of one connection; it is free again when this is dropped.
#[derive(Debug)]
struct Place {
    taken: Arc<Mutex<Taken>>,
    address: IpAddr,
}

impl Door {
    async fn accept(&self, listener: TcpListener) {
        loop {
            let Ok((stream, from)) = listener.accept().await else {
                sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let Some(shared) = self.shared.upgrade() else { return };
            let Some(place) = self.take_place(from.ip()) else {
                shared.counters.links_refused(1);
                continue;
            };
            let connection = Connection::new(&shared, Side::Accepted);
            let config = socket_config(shared.intake.limits().frame_bytes);
            let origin = Origin::of_address(self.hasher.hash_one(from.ip()));
            shared.tasks.spawn(async move {
                let _place = place;
                match shake_hands(stream, config).await {
                    Some(socket) => {
                        connection.run(socket, origin).await;
                    }
                    None => connection.count_no_handshake(),
                }
            });
        }
    }

    fn take_place(&self, address: IpAddr) -> Option<Place> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let of_address = taken.by_address.get(&address).copied().unwrap_or(0);
        let is_full = taken.all >= self.limits.links || of_address >= self.limits.links_per_address;
        if is_full {
            return None;
        }
        taken.all += 1;
        taken.by_address.insert(address, of_address + 1);
        Some(Place { taken: Arc::clone(&self.taken), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all = taken.all.saturating_sub(1);
        let left = taken.by_address.get(&self.address).map_or(0, |count| count.saturating_sub(1));
        if left == 0 {
            taken.by_address.remove(&self.address);
        } else {
            taken.by_address.insert(self.address, left);
        }
    }
}

async fn shake_hands(
    stream: TcpStream,
    config: tokio_tungstenite::tungstenite::protocol::WebSocketConfig,
) -> Option<tokio_tungstenite::WebSocketStream<TcpStream>> {
    stream.set_nodelay(true).ok()?;
    #[expect(clippy::result_large_err, reason = "the form that the library asks for")]
    let check = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        if request.uri().path().trim_end_matches('/') == "/gun" {
            return Ok(response);
        }
        let mut refusal = ErrorResponse::new(Some("GUN peers connect at /gun".into()));
        *refusal.status_mut() = StatusCode::NOT_FOUND;
        Err(refusal)
    };
    let shaking = accept_hdr_async_with_config(stream, check, Some(config));
    timeout(HANDSHAKE_TIMEOUT, shaking).await.ok()?.ok()
}
