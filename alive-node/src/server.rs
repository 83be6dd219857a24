//! Connections and their limits.
//!
//! Own loop over hyper, because the ready-made one of axum has no time limit for the head of a request: a client that
//! sends a byte a minute would hold its connection for ever.

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
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::config::ServerLimits;

/// Most headers that a request may have.
const MAX_HEADERS: usize = 64;
/// The wait after the system has refused a connection: mostly too many files are open.
const ACCEPT_WAIT: Duration = Duration::from_millis(100);

/// Serves any routes over HTTP/1.1 within `limits` until it is cancelled, and then what is under way for a while: the
/// server of a [`Node`](crate::Node), for programs that show something else beside it.
///
/// ```
/// use alive_node::{ServerLimits, serve};
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let cancel = tokio_util::sync::CancellationToken::new();
/// let server = tokio::spawn(serve(listener, axum::Router::new(), ServerLimits::default(), cancel.clone()));
/// cancel.cancel();
/// server.await?;
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ServerLimits,
    cancel: CancellationToken,
) {
    let server = Server { router, graceful: GracefulShutdown::new(), limits };
    let permits = Arc::new(Semaphore::new(server.limits.connections));
    let connections = TaskTracker::new();
    while let Some(Some((stream, permit))) =
        cancel.run_until_cancelled(accept(&listener, &permits)).await
    {
        connections.spawn(server.connection(stream, permit));
    }
    drop(listener);
    let grace = server.limits.shutdown_grace;
    if tokio::time::timeout(grace, server.graceful.shutdown()).await.is_err() {
        tracing::warn!(open = connections.len(), "connections broken off");
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
                tracing::warn!(%error, "a connection cannot be taken");
                tokio::time::sleep(ACCEPT_WAIT).await;
            }
        }
    }
}

struct Server {
    router: Router,
    graceful: GracefulShutdown,
    limits: ServerLimits,
}

impl Server {
    /// Serves one connection. It ends with an error that concerns the client only.
    fn connection(
        &self,
        stream: TcpStream,
        permit: OwnedSemaphorePermit,
    ) -> impl Future<Output = ()> + Send + 'static {
        // Small answers, such as a playlist that has not changed, should not wait for more.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps its delay");
        }
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.limits.write_timeout));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head_timeout)
            .max_buf_size(self.limits.head_bytes)
            .max_headers(MAX_HEADERS)
            .serve_connection(
                TokioIo::new(Box::pin(stream)),
                TowerToHyperService::new(self.router.clone()),
            );
        let connection = self.graceful.watch(connection);
        async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
            drop(permit);
        }
    }
}
