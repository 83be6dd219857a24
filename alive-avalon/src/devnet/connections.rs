//! Connections of the development node and their limits ([`listen`]).
//!
//! Own loop over hyper, because the ready-made one of axum bounds neither the number of connections nor the time for
//! the head of a request: a client that sends a byte a minute would hold its connection for ever.

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;

/// Most connections at once; further ones wait to be taken. Bounds what all bodies together take to half a gigabyte.
const MAX_CONNECTIONS: usize = 256;
/// How long the head of a request may take, also the first of a connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take no byte of an answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest head of a request, in bytes.
const MAX_HEAD: usize = 16 << 10;
/// Most headers of a request.
const MAX_HEADERS: usize = 64;
/// How long answers under way may take once the node stops.
const GRACE: Duration = Duration::from_secs(2);
/// The wait after the system has refused a connection: mostly too many files are open.
const ACCEPT_WAIT: Duration = Duration::from_millis(100);

/// Serves connections until it is stopped. When its future is dropped, so are they.
pub(super) async fn listen(listener: TcpListener, router: Router, stop: CancellationToken) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &permits) => accepted,
            Some(_) = connections.join_next() => continue,
            () = stop.cancelled() => break,
        };
        let Some((stream, permit)) = accepted else { break };
        connections.spawn(connection(stream, permit, router.clone(), &graceful));
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::debug!(open = connections.len(), "connections broken off");
    }
}

/// The next connection and its place among the open ones; `None` is impossible while the listener is there.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return Some((stream, permit)),
            Err(error) => {
                tracing::warn!(%error, "the development node cannot take a connection");
                tokio::time::sleep(ACCEPT_WAIT).await;
            }
        }
    }
}

/// Serves one connection. It ends with an error that concerns the client only.
fn connection(
    stream: TcpStream,
    permit: OwnedSemaphorePermit,
    router: Router,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + Send + 'static {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps its delay");
    }
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(router));
    let served = graceful.watch(served);
    async move {
        if let Err(error) = served.await {
            tracing::debug!(%error, "a connection ended");
        }
        drop(permit);
    }
}
