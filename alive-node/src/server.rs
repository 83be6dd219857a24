//! Connections and their limits.
//!
//! Own loop over hyper, because the ready-made one of axum has no time limit for the head of a request: a client that
//! sends a byte a minute would hold its connection for ever.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::Router;
use futures_util::{FutureExt as _, future::Either};
use hyper::{
    Request,
    body::Incoming,
    server::conn::http1,
    service::{Service as _, service_fn},
};
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

use crate::{
    api::Express,
    config::ServerLimits,
    metrics::Metrics,
    visitors::{Peer, Place, Visitors},
};

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
    let visitors = Arc::new(Visitors::new(&limits));
    serve_visitors(listener, (None, router), limits, visitors, Metrics::new(), cancel).await;
}

/// The same with visitors and metrics that others know, too, and with the short way of lists if there are any.
pub(crate) async fn serve_visitors(
    listener: TcpListener,
    (express, router): (Option<Express>, Router),
    limits: ServerLimits,
    visitors: Arc<Visitors>,
    metrics: Metrics,
    cancel: CancellationToken,
) {
    let server = Server { express, router, graceful: GracefulShutdown::new(), limits, metrics };
    let permits = Arc::new(Semaphore::new(server.limits.connections));
    let connections = TaskTracker::new();
    while let Some(Some((stream, peer, permit))) =
        cancel.run_until_cancelled(accept(&listener, &permits)).await
    {
        match visitors.connect(peer) {
            Some(place) => {
                connections.spawn(server.connection(stream, peer, (permit, place)));
            }
            // It is closed without a word: an answer would cost more than the connection.
            None => server.metrics.refused(),
        }
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
) -> Option<(TcpStream, IpAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return Some((stream, peer.ip(), permit)),
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be taken");
                tokio::time::sleep(ACCEPT_WAIT).await;
            }
        }
    }
}

struct Server {
    express: Option<Express>,
    router: Router,
    graceful: GracefulShutdown,
    limits: ServerLimits,
    metrics: Metrics,
}

impl Server {
    /// Serves one connection. It ends with an error that concerns the client only.
    fn connection(
        &self,
        stream: TcpStream,
        peer: IpAddr,
        place: (OwnedSemaphorePermit, Place),
    ) -> impl Future<Output = ()> + Send + 'static {
        // Small answers, such as a playlist that has not changed, should not wait for more.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps its delay");
        }
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.limits.write_timeout));
        let express = self.express.clone();
        let service = TowerToHyperService::new(self.router.clone());
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head_timeout)
            .max_buf_size(self.limits.head_bytes)
            .max_headers(MAX_HEADERS)
            .serve_connection(
                TokioIo::new(Box::pin(stream)),
                service_fn(move |mut request: Request<Incoming>| match &express {
                    Some(express) if Express::takes(&request) => {
                        Either::Left(express.answer(request, peer).map(Ok))
                    }
                    _ => {
                        request.extensions_mut().insert(Peer(peer));
                        Either::Right(service.call(request))
                    }
                }),
            );
        let connected = self.metrics.connected();
        let connection = self.graceful.watch(connection);
        async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
            drop((place, connected));
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Asks over a connection that stays open; `None` when it is closed instead.
    async fn ask(stream: &mut TcpStream) -> Option<()> {
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let mut start = [0; 12];
        stream.read_exact(&mut start).await.ok()?;
        assert_eq!(&start, b"HTTP/1.1 200");
        Some(())
    }

    #[tokio::test]
    async fn an_address_with_too_many_connections_gets_no_more() {
        let limits = ServerLimits::default().connections_per_address(2);
        let visitors = Arc::new(Visitors::new(&limits).without_trust());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (metrics, cancel) = (Metrics::new(), CancellationToken::new());
        let router = Router::new().route("/", get(|| async {}));
        let serving = serve_visitors(
            listener,
            (None, router),
            limits,
            visitors,
            metrics.clone(),
            cancel.clone(),
        );
        let server = tokio::spawn(serving);
        let mut open = Vec::new();
        for _ in 0..2 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            ask(&mut stream).await.unwrap();
            open.push(stream);
        }
        let mut third = TcpStream::connect(address).await.unwrap();
        assert_eq!(ask(&mut third).await, None);
        assert!(metrics.text().contains("alive_http_connections_refused_total 1\n"));
        assert!(metrics.text().contains("alive_http_connections 2\n"), "{}", metrics.text());
        // Its place is free some time after one of the others went.
        open.pop();
        loop {
            let mut stream = TcpStream::connect(address).await.unwrap();
            if ask(&mut stream).await.is_some() {
                break;
            }
        }
        cancel.cancel();
        drop(open);
        server.await.unwrap();
    }
}
