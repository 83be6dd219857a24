//! Every limit, against clients that push it.
#![cfg(test)]

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use alive_serve::{Limits, anyone, route, serve, serve_with, tcp};
use axum::{
    Router,
    extract::{ConnectInfo, Request},
    response::IntoResponse as _,
    routing::get,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
/// Longer than a sound server takes, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(30);

struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(router: Router, limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(tcp(listener), router, limits, anyone, stop.clone()));
        Self { address, stop, task }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap();
    }
}

fn hello() -> Router {
    let greet = |ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() };
    Router::new().route("/", get(greet))
}

/// Everything that comes until the other side closes; what it breaks off ends there, too.
async fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut text)).await;
    let _ = read.expect("the server closes the connection");
    String::from_utf8_lossy(&text).into_owned()
}

/// Asks over a connection that stays open.
async fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(REQUEST).await.unwrap();
    let mut text = [0; 4096];
    let read = tokio::time::timeout(PATIENCE, stream.read(&mut text)).await.unwrap().unwrap();
    String::from_utf8_lossy(&text[..read]).into_owned()
}

#[tokio::test]
async fn handlers_know_who_asks() {
    let server = Server::start(hello(), Limits::default()).await;
    let mut stream = server.connect().await;
    let answer = ask(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with(&stream.local_addr().unwrap().to_string()), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn some_requests_go_another_way_than_the_router() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let router = Router::new().route("/far", get(|| async { "by the router" }));
    let answer = move |request: Request<_>, peer: &ConnectInfo<SocketAddr>| {
        let shortly = format!("at once to {}", peer.0).into_response();
        let routed = (request.uri().path() != "/").then(|| route(&router, request));
        async move {
            match routed {
                Some(routed) => routed.await,
                None => Ok(shortly),
            }
        }
    };
    let served = serve_with(tcp(listener), answer, Limits::default(), anyone, stop.clone());
    let task = tokio::spawn(served);
    let mut stream = TcpStream::connect(address).await.unwrap();
    let own = stream.local_addr().unwrap();
    let answer = ask(&mut stream).await;
    assert!(answer.ends_with(&format!("at once to {own}")), "{answer}");
    for (path, want) in [("/far", "by the router"), ("/nowhere", "content-length: 0\r\n")] {
        let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(answer.contains(want), "{path}: {answer}");
    }
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn a_connection_too_many_waits_until_another_ends() {
    let server = Server::start(hello(), Limits::default().connections(1)).await;
    let mut first = server.connect().await;
    ask(&mut first).await;
    let mut second = server.connect().await;
    second.write_all(REQUEST).await.unwrap();
    let mut byte = [0];
    let early = tokio::time::timeout(Duration::from_millis(200), second.read(&mut byte)).await;
    assert!(early.is_err(), "there was no place for it yet");
    drop(first);
    tokio::time::timeout(PATIENCE, second.read_exact(&mut byte)).await.unwrap().unwrap();
    server.stop().await;
}

#[tokio::test]
async fn heads_are_bounded_in_time_and_size_and_headers() {
    let limits = Limits::default().head_timeout(Duration::from_millis(100)).headers(4);
    let server = Server::start(hello(), limits.head_bytes(1)).await;
    // One that never begins, and one that never ends its head.
    for start in ["", "GET / HTTP/1.1\r\nHost:"] {
        let mut slow = server.connect().await;
        slow.write_all(start.as_bytes()).await.unwrap();
        let answer = rest(&mut slow).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
    let long = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", "x".repeat(64 << 10));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(9));
    for head in [long, many] {
        let mut stream = server.connect().await;
        // The server may close before all of it is written.
        let _ = stream.write_all(head.as_bytes()).await;
        let answer = rest(&mut stream).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    let mut sound = server.connect().await;
    assert!(ask(&mut sound).await.starts_with("HTTP/1.1 200 "));
    server.stop().await;
}

#[tokio::test]
async fn who_takes_or_sends_nothing_is_left() {
    let endless = || async { "x".repeat(64 << 20) };
    let upload = |body: axum::body::Bytes| async move { body.len().to_string() };
    let router = Router::new().route("/", get(endless).post(upload));
    let short = Duration::from_millis(200);
    let limits = Limits::default().write_timeout(short).read_timeout(Some(short));
    let ended = Arc::new(Notify::new());
    let held = Arc::clone(&ended);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let admit = move |_| Some(((), OnDrop(Arc::clone(&held))));
    let task = tokio::spawn(serve(tcp(listener), router, limits, admit, stop.clone()));
    let silent_post = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc";
    for request in [std::str::from_utf8(REQUEST).unwrap(), silent_post] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        // The client keeps its side open and does nothing.
        tokio::time::timeout(PATIENCE, ended.notified()).await.expect("the server lets go");
    }
    stop.cancel();
    task.await.unwrap();
}

/// Tells when a connection has let go of what it held.
struct OnDrop(Arc<Notify>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[tokio::test]
async fn who_is_not_admitted_is_closed_and_places_come_back() {
    let open = Arc::new(AtomicUsize::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let counter = Arc::clone(&open);
    let router = Router::new().route("/", get(|| async {}));
    let admit = move |_| {
        let is_free = counter.fetch_add(1, Ordering::SeqCst) == 0;
        let place = Counted(Arc::clone(&counter));
        is_free.then_some(((), place))
    };
    let task = tokio::spawn(serve(tcp(listener), router, Limits::default(), admit, stop.clone()));
    let mut first = TcpStream::connect(address).await.unwrap();
    assert!(ask(&mut first).await.starts_with("HTTP/1.1 200 "));
    assert_eq!(rest(&mut TcpStream::connect(address).await.unwrap()).await, "");
    drop(first);
    while open.load(Ordering::SeqCst) > 0 {
        tokio::task::yield_now().await;
    }
    let mut again = TcpStream::connect(address).await.unwrap();
    assert!(ask(&mut again).await.starts_with("HTTP/1.1 200 "));
    stop.cancel();
    task.await.unwrap();
}

struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn the_end_waits_for_answers_but_not_for_ever() {
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (Arc::clone(&begun), Arc::clone(&go));
    let slow = move || async move {
        tell.notify_one();
        wait.notified().await;
        "done"
    };
    let never = || async { std::future::pending::<&str>().await };
    let router = Router::new().route("/", get(slow)).route("/never", get(never));
    let server = Server::start(router.clone(), Limits::default().grace(PATIENCE)).await;
    let mut stream = server.connect().await;
    stream.write_all(REQUEST).await.unwrap();
    begun.notified().await;
    server.stop.cancel();
    go.notify_one();
    let answer = rest(&mut stream).await;
    assert!(answer.ends_with("done"), "{answer}");
    server.stop().await;

    let hurried = Server::start(router, Limits::default().grace(Duration::from_millis(50))).await;
    let mut stream = hurried.connect().await;
    stream.write_all(b"GET /never HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    hurried.stop().await;
    assert_eq!(rest(&mut stream).await, "", "it was broken off");
}

#[tokio::test]
async fn what_is_dropped_closes_its_connections() {
    let server = Server::start(hello(), Limits::default()).await;
    let mut stream = server.connect().await;
    ask(&mut stream).await;
    server.task.abort();
    assert_eq!(rest(&mut stream).await, "");
}
