//! Connections to the API and their limits: [`serve`].

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::Semaphore,
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::HttpAddress;

/// Most connections at once; more wait to be taken.
const CONNECTIONS: usize = 256;
/// Most bytes of the head of a request.
const HEAD_BYTES: usize = 16 << 10;
const MAX_HEADERS: usize = 64;
/// How long the head of a request may take, and a connection may be idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a client may send or take nothing.
const IDLE: Duration = Duration::from_secs(30);
/// The wait after the system has refused a connection: mostly too many files are open.
const ACCEPT_WAIT: Duration = Duration::from_millis(100);
/// How long answers may go on after the server was told to stop.
const GRACE: Duration = Duration::from_secs(5);

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
                if tokio::net::UnixStream::connect(path).await.is_ok() {
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

/// Serves connections until it is cancelled, and then those that are open for a short while.
pub async fn serve(listener: Listener, router: Router, cancel: CancellationToken) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    let server = Server { router, graceful: GracefulShutdown::new(), tasks: TaskTracker::new() };
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { break };
        let accepted = async {
            match &listener {
                Listener::Tcp(listener) => {
                    let (stream, address) = listener.accept().await?;
                    server.spawn(stream, Peer::Tcp(address), permit);
                }
                Listener::Unix(listener) => {
                    let (stream, _) = listener.accept().await?;
                    server.spawn(stream, Peer::Unix, permit);
                }
            }
            io::Result::Ok(())
        };
        match cancel.run_until_cancelled(accepted).await {
            None => break,
            Some(Ok(())) => {}
            Some(Err(error)) => {
                tracing::warn!(%error, "a connection cannot be taken");
                tokio::time::sleep(ACCEPT_WAIT).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(GRACE, server.graceful.shutdown()).await.is_err() {
        tracing::warn!(open = server.tasks.len(), "connections broken off");
    }
}

struct Server {
    router: Router,
    graceful: GracefulShutdown,
    tasks: TaskTracker,
}

impl Server {
    fn spawn<S>(&self, stream: S, peer: Peer, permit: tokio::sync::OwnedSemaphorePermit)
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let mut stream = TimeoutStream::new(stream);
        stream.set_read_timeout(Some(IDLE));
        stream.set_write_timeout(Some(IDLE));
        let router = self.router.clone().layer(Extension(peer));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(HEAD_BYTES)
            .max_headers(MAX_HEADERS)
            .serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(router));
        let connection = self.graceful.watch(connection);
        self.tasks.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
            drop(permit);
        });
    }
}
