//! Connections, and what is done with those that come.

use std::{net::SocketAddr, sync::Arc};

use alive_serve::Limits;
use axum::{Router, extract::Request};
use futures_util::{FutureExt as _, future::Either};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    api::Express,
    config::ServerLimits,
    metrics::Metrics,
    visitors::{Peer, Visitors},
};

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
    let admit = |address: SocketAddr| {
        let peer = address.ip();
        let Some(place) = visitors.connect(peer) else {
            metrics.refused();
            return None;
        };
        Some((Peer(peer), (place, metrics.connected())))
    };
    let answer = move |mut request: Request<_>, peer: &Peer| match &express {
        Some(express) if Express::takes(&request) => {
            Either::Left(express.answer(request, peer.0).map(Ok))
        }
        _ => {
            request.extensions_mut().insert(*peer);
            Either::Right(alive_serve::route(&router, request))
        }
    };
    alive_serve::serve_with(
        alive_serve::tcp(listener),
        answer,
        connection_limits(&limits),
        admit,
        cancel,
    )
    .await;
}

/// What concerns connections, whoever is at their other end.
fn connection_limits(limits: &ServerLimits) -> Limits {
    Limits::default()
        .connections(limits.connections)
        .head_bytes(limits.head_bytes)
        .head_timeout(limits.head_timeout)
        .write_timeout(limits.write_timeout)
        .grace(limits.shutdown_grace)
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
    };

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
