//! Servers for the tests: axum for those that answer well, bare sockets for those that do not.

use std::{
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use alive_core::GatewayUrl;
use axum::{
    body::Bytes,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::Response,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// A request, whole.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Request {
    pub(crate) fn path(&self) -> &str {
        self.uri.path()
    }

    /// The first value of a query parameter, unescaped.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        pairs(self.uri.query().unwrap_or_default())
            .into_iter()
            .find(|(n, _)| n == name)
            .map(|p| p.1)
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The content of a field of a multipart form, and the head in front of it.
    pub(crate) fn field(&self, name: &str) -> Option<(String, Bytes)> {
        let (_, boundary) = self.header("content-type").split_once("boundary=")?;
        let mark = format!("--{boundary}").into_bytes();
        let starts: Vec<usize> =
            (0..self.body.len()).filter(|at| self.body[*at..].starts_with(&mark)).collect();
        starts.windows(2).find_map(|part| {
            let part = self.body.slice(part[0] + mark.len() + 2..part[1] - 2);
            let end = part.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
            let head = String::from_utf8(part[..end].to_vec()).unwrap();
            head.contains(&format!("name=\"{name}\"")).then(|| (head, part.slice(end + 4..)))
        })
    }
}

/// Name and value pairs of a form.
pub(crate) fn pairs(form: &str) -> Vec<(String, String)> {
    let unescape = |text: &str| {
        let (mut out, bytes) = (Vec::new(), text.replace('+', " ").into_bytes());
        let mut at = 0;
        while at < bytes.len() {
            if bytes[at] == b'%' {
                let digits = std::str::from_utf8(&bytes[at + 1..at + 3]).unwrap();
                out.push(u8::from_str_radix(digits, 16).unwrap());
                at += 3;
            } else {
                out.push(bytes[at]);
                at += 1;
            }
        }
        String::from_utf8(out).unwrap()
    };
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (unescape(name), unescape(value))
    };
    form.split('&').map(pair).collect()
}

/// A server that is gone when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) url: GatewayUrl,
    pub(crate) requests: Arc<AtomicU32>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) fn count(&self) -> u32 {
        self.requests.load(Ordering::SeqCst)
    }
}

/// Answers every request by a function.
pub(crate) async fn serve<F>(
    answer: impl Fn(Request) -> F + Clone + Send + Sync + 'static,
) -> Server
where
    F: Future<Output = Response> + Send + 'static,
{
    let requests = Arc::<AtomicU32>::default();
    let counted = Arc::clone(&requests);
    let handler = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
        counted.fetch_add(1, Ordering::SeqCst);
        answer(Request { method, uri, headers, body })
    };
    let router =
        axum::Router::new().fallback(handler).layer(axum::extract::DefaultBodyLimit::max(64 << 20));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    Server { url, requests, task }
}

/// Writes to every connection as a function says, once a request has come.
pub(crate) async fn raw<F>(talk: impl Fn(TcpStream, String) -> F + Send + Sync + 'static) -> Server
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let requests = Arc::<AtomicU32>::default();
    let counted = Arc::clone(&requests);
    let task = tokio::spawn(async move {
        let running = Mutex::new(tokio::task::JoinSet::new());
        while let Ok((mut socket, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let mut request = vec![0; 8192];
            let read = socket.read(&mut request).await.unwrap_or(0);
            let head = String::from_utf8_lossy(&request[..read]).into_owned();
            running.lock().unwrap().spawn(talk(socket, head));
        }
    });
    Server { url, requests, task }
}

/// Gives every connection the same bytes, and closes it.
pub(crate) async fn fixed(answer: impl Into<Vec<u8>>) -> Server {
    let answer = answer.into();
    raw(move |mut socket, _| {
        let answer = answer.clone();
        async move {
            let _ = socket.write_all(&answer).await;
        }
    })
    .await
}

/// An answer with a status, a media type and a body.
pub(crate) fn answer(status: u16, media_type: &str, body: impl Into<Bytes>) -> Response {
    Response::builder()
        .status(StatusCode::from_u16(status).unwrap())
        .header("content-type", media_type)
        .body(axum::body::Body::from(body.into()))
        .unwrap()
}

/// The head and body of a raw answer of a known length.
pub(crate) fn raw_answer(media_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Waits until a condition holds.
pub(crate) async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "{what} did not come true");
}
