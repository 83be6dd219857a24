use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::connect_info::ConnectInfo,
    serve::{Listener, ListenerExt as _},
};
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
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;

use crate::Limits;

/// Serves connections within `limits` until it is stopped, and then what is under way for the grace that they give. When its
/// future is dropped, so are the connections.
///
/// `admit` is asked about each connection. `None` closes it without a word, since an answer would cost more than the
/// connection; else it returns an extension of the connection's requests, and what is held until it ends.
pub async fn serve<L, P, H>(
    mut listener: L,
    router: Router,
    limits: Limits,
    mut admit: impl FnMut(L::Addr) -> Option<(P, H)>,
    stop: CancellationToken,
) where
    L: Listener,
    P: Clone + Send + Sync + 'static,
    H: Send + 'static,
{
    let places = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (listener.accept().await, place)
        };
        let ((stream, address), place) = tokio::select! {
            next = next => next,
            Some(_) = connections.join_next() => continue,
            () = stop.cancelled() => break,
        };
        if let Some((peer, held)) = admit(address) {
            let connection = connection(stream, router.clone(), peer, &limits, &graceful);
            connections.spawn(async move {
                connection.await;
                drop((place, held));
            });
        }
    }
    drop(listener);
    if tokio::time::timeout(limits.grace, graceful.shutdown()).await.is_err() {
        tracing::warn!(open = connections.len(), "connections broken off");
    }
}

/// Takes every connection, and tells handlers where it comes from.
pub fn anyone<A>(address: A) -> Option<(ConnectInfo<A>, ())> {
    Some((ConnectInfo(address), ()))
}

/// A TCP listener whose connections send small answers, such as a playlist that has not changed, without waiting for more.
pub fn tcp(listener: TcpListener) -> impl Listener<Io = TcpStream, Addr = SocketAddr> {
    listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps its delay");
        }
    })
}

/// Serves one connection. It ends with an error that concerns the client only.
fn connection(
    stream: impl AsyncRead + AsyncWrite + Send + 'static,
    router: Router,
    peer: impl Clone + Send + Sync + 'static,
    limits: &Limits,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + Send + 'static {
    let mut stream = TimeoutStream::new(stream);
    stream.set_read_timeout(limits.read_timeout);
    stream.set_write_timeout(Some(limits.write_timeout));
    let service = TowerToHyperService::new(router);
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_buf_size(limits.head_bytes.max(Limits::MIN_HEAD_BYTES))
        .max_headers(limits.headers)
        .serve_connection(
            TokioIo::new(Box::pin(stream)),
            service_fn(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(peer.clone());
                service.call(request)
            }),
        );
    let served = graceful.watch(served);
    async move {
        if let Err(error) = served.await {
            tracing::debug!(%error, "a connection ended");
        }
    }
}
