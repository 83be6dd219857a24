//! Connections to the API and their limits: [`serve`].

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use alive_serve::Limits;
use axum::Router;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_util::{either::Either, sync::CancellationToken};

use super::HttpAddress;

/// How long a client may send or take nothing.
const IDLE: Duration = Duration::from_secs(30);

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a connection comes by one of these")]
pub enum Peer {
    /// Over TCP, from this address.
    Tcp(SocketAddr),
    /// A program of this machine that may open the socket's file.
    Unix,
}

impl Peer {
    /// The address, if it has one.
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) => Some(address.ip()),
            Self::Unix => None,
        }
    }

    /// Whether it is a program of this machine.
    pub fn is_own_machine(&self) -> bool {
        self.address().is_none_or(|address| address.to_canonical().is_loopback())
    }
}

/// Where connections arrive.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "the API is served on these")]
pub enum Listener {
    /// Over TCP.
    Tcp(TcpListener),
    /// On a file.
    Unix(UnixListener),
}

impl Listener {
    /// Listens on an address. A socket file that nobody listens on any more is replaced.
    ///
    /// # Errors
    /// The system refuses, or somebody listens there.
    pub async fn bind(address: &HttpAddress) -> io::Result<Self> {
        match address {
            HttpAddress::Tcp { host, port } => {
                TcpListener::bind((&**host, *port)).await.map(Self::Tcp)
            }
            HttpAddress::Unix(path) => {
                let bound = UnixListener::bind(path);
                let taken = |error: &io::Error| error.kind() == io::ErrorKind::AddrInUse;
                if !bound.as_ref().is_err_and(taken) {
                    return bound.map(Self::Unix);
                }
                if UnixStream::connect(path).await.is_ok() {
                    return bound.map(Self::Unix);
                }
                tracing::info!(path = %path.display(), "a socket that nobody listens on is replaced");
                std::fs::remove_file(path)?;
                UnixListener::bind(path).map(Self::Unix)
            }
        }
    }

    /// Where it listens, if that is an address.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }
}

impl axum::serve::Listener for Listener {
    type Io = Either<TcpStream, UnixStream>;
    type Addr = Peer;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        use axum::serve::Listener;
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = Listener::accept(listener).await;
                (Either::Left(stream), Peer::Tcp(address))
            }
            Self::Unix(listener) => {
                let (stream, _) = Listener::accept(listener).await;
                (Either::Right(stream), Peer::Unix)
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Peer::Tcp),
            Self::Unix(_) => Ok(Peer::Unix),
        }
    }
}

/// Serves connections until it is cancelled, and then those that are open for a short while.
pub async fn serve(listener: Listener, router: Router, cancel: CancellationToken) {
    let limits = Limits::default().read_timeout(Some(IDLE)).write_timeout(IDLE);
    alive_serve::serve(listener, router, limits, |peer| Some((peer, ())), cancel).await;
}
