//! HTTP servers that answer as told, byte for byte.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use alive_hive::rpc::{RpcClient, RpcConfig};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// What a server does with the request of that number, counted from 0, whose body is given.
pub(crate) type Act = fn(usize, &Value) -> Reply;

/// What it sends back.
pub(crate) enum Reply {
    /// These bytes, then the end of the connection.
    Bytes(String),
    /// These bytes one by one, a moment between any two, for ever.
    Drip(String),
    /// Nothing, for ever.
    Silence,
}

/// A server that counts its requests.
pub(crate) struct Stub {
    pub(crate) url: String,
    served: Arc<AtomicUsize>,
    bodies: Arc<Mutex<Vec<Value>>>,
    _tasks: JoinSet<()>,
}

impl Stub {
    pub(crate) async fn start(act: Act) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let served = Arc::new(AtomicUsize::new(0));
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        let (count, seen) = (Arc::clone(&served), Arc::clone(&bodies));
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (count, seen) = (Arc::clone(&count), Arc::clone(&seen));
                connections.spawn(async move { serve(stream, act, &count, &seen).await });
            }
        });
        Self { url, served, bodies, _tasks: tasks }
    }

    /// Requests so far.
    pub(crate) fn served(&self) -> usize {
        self.served.load(Ordering::SeqCst)
    }

    /// Their bodies.
    pub(crate) fn bodies(&self) -> Vec<Value> {
        self.bodies.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, act: Act, count: &AtomicUsize, seen: &Mutex<Vec<Value>>) {
    let Some(body) = request(&mut stream).await else { return };
    seen.lock().unwrap().push(body.clone());
    let reply = act(count.fetch_add(1, Ordering::SeqCst), &body);
    match reply {
        // The client may have left: that is what some of these are for.
        Reply::Bytes(bytes) => drop(stream.write_all(bytes.as_bytes()).await),
        Reply::Drip(bytes) => {
            for byte in bytes.as_bytes().iter().chain(std::iter::repeat(&b' ')) {
                if stream.write_all(&[*byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        Reply::Silence => std::future::pending().await,
    }
}

/// Reads one request and gives its body.
async fn request(stream: &mut TcpStream) -> Option<Value> {
    let mut read = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        read.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&read);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length?.parse().unwrap() {
            return serde_json::from_str(body).ok();
        }
    }
}

/// A whole HTTP answer.
pub(crate) fn http(status: &str, headers: &str, body: &str) -> Reply {
    let length = body.len();
    Reply::Bytes(format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    ))
}

/// The answer that a request asks for: its own parameters.
pub(crate) fn echo(request: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "result": request["params"], "id": request["id"] })
}

/// A server that answers every request with its own parameters, batches too.
pub(crate) fn good(_: usize, request: &Value) -> Reply {
    let answer = match request {
        Value::Array(requests) => Value::Array(requests.iter().map(echo).collect()),
        request => echo(request),
    };
    http("200 OK", "", &answer.to_string())
}

/// A client that soon loses patience.
pub(crate) fn client(nodes: &[&str]) -> RpcClient {
    RpcClient::new(config(nodes)).unwrap()
}

pub(crate) fn config(nodes: &[&str]) -> RpcConfig {
    let config = RpcConfig::new(nodes).unwrap().timeout(Duration::from_millis(400));
    config.max_answer(1 << 16).rounds(1).pause(Duration::from_millis(1), Duration::from_millis(1))
}
