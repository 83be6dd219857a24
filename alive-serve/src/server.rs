//! Connections of a listener, each within its limits, until all is told to stop: [`serve`].

use std::{convert::Infallible, io::ErrorKind, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Request, connect_info::ConnectInfo},
    response::Response,
    serve::Listener,
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tower::Service as _;

use crate::Limits;

/// Serves connections within `limits` until it is stopped, and then what is under way for the grace that they give. When its
/// future is dropped, so are the connections.
///
/// `admit` is asked about each connection. `None` closes it without a word, since an answer would cost more than the
/// connection; else it returns an extension of the connection's requests, and what is held until it ends.
pub async fn serve<L, P, H>(
    listener: L,
    router: Router,
    limits: Limits,
    admit: impl FnMut(L::Addr) -> Option<(P, H)>,
    stop: CancellationToken,
) where
    L: Listener,
    P: Clone + Send + Sync + 'static,
    H: Send + 'static,
{
    let answer = move |mut request: Request<Incoming>, peer: &P| {
        request.extensions_mut().insert(peer.clone());
        route(&router, request)
    };
    serve_with(listener, answer, limits, admit, stop).await;
}

/// The same with any function from a request to its answer, which also gets what `admit` returned about the connection: for
/// those who have a shorter way than a router for what is asked of them most.
///
/// ```
/// use alive_serve::{Limits, anyone, route, serve_with, tcp};
/// use axum::{Router, extract::ConnectInfo};
/// use tokio_util::sync::CancellationToken;
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let listener = tcp(tokio::net::TcpListener::bind("127.0.0.1:0").await?);
/// let router = Router::new();
/// let answer = move |request, _peer: &ConnectInfo<_>| route(&router, request);
/// let stop = CancellationToken::new();
/// let server = tokio::spawn(serve_with(listener, answer, Limits::default(), anyone, stop.clone()));
/// stop.cancel();
/// server.await?;
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub async fn serve_with<L, P, H, F>(
    mut listener: L,
    answer: impl Fn(Request<Incoming>, &P) -> F + Clone + Send + 'static,
    limits: Limits,
    mut admit: impl FnMut(L::Addr) -> Option<(P, H)>,
    stop: CancellationToken,
) where
    L: Listener,
    P: Send + 'static,
    H: Send + 'static,
    F: Future<Output = Result<Response, Infallible>> + Send + 'static,
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
            let connection = connection(stream, answer.clone(), peer, &limits, &graceful);
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

/// What a router answers to a request.
pub fn route(
    router: &Router,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response, Infallible>> + Send + use<> {
    // A router is always ready.
    router.clone().call(request)
}

/// Takes every connection, and tells handlers where it comes from.
pub fn anyone<A>(address: A) -> Option<(ConnectInfo<A>, ())> {
    Some((ConnectInfo(address), ()))
}

/// A TCP listener whose connections send small answers, such as a playlist that has not changed, without waiting for more.
pub fn tcp(listener: TcpListener) -> impl Listener<Io = TcpStream, Addr = SocketAddr> {
    Tcp(listener)
}

/// See [`tcp`].
#[derive(Debug)]
struct Tcp(TcpListener);

impl Listener for Tcp {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        /// The wait after the system has refused a connection: mostly too many files are open. axum's own waits a second,
        /// in which many who come would find nobody.
        const WAIT: Duration = Duration::from_millis(100);
        loop {
            match self.0.accept().await {
                Ok((stream, address)) => {
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "a connection keeps its delay");
                    }
                    return (stream, address);
                }
                // Whoever came has gone again.
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
                    ) => {}
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be taken");
                    tokio::time::sleep(WAIT).await;
                }
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// Serves one connection. It ends with an error that concerns the client only.
fn connection<P, F>(
    stream: impl AsyncRead + AsyncWrite + Send + 'static,
    answer: impl Fn(Request<Incoming>, &P) -> F + Send + 'static,
    peer: P,
    limits: &Limits,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + Send + 'static
where
    P: Send + 'static,
    F: Future<Output = Result<Response, Infallible>> + Send + 'static,
{
    let mut stream = TimeoutStream::new(stream);
    stream.set_read_timeout(limits.read_timeout);
    stream.set_write_timeout(Some(limits.write_timeout));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_buf_size(limits.head_bytes.max(Limits::MIN_HEAD_BYTES))
        .max_headers(limits.headers)
        .serve_connection(
            TokioIo::new(Box::pin(stream)),
            service_fn(move |request| answer(request, &peer)),
        );
    let served = graceful.watch(served);
    async move {
        if let Err(error) = served.await {
            tracing::debug!(%error, "a connection ended");
        }
    }
}
