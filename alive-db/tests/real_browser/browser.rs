//! A page in a browser of its own: [`Browser`].

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use axum::{Router, http::header::CONTENT_TYPE, routing::get};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_tungstenite::{WebSocketStream, accept_async, tungstenite::Message};

use crate::packages;

/// A browser that says nothing for so long is stuck. On a busy machine its start takes a quarter of a minute.
const DEADLINE: Duration = Duration::from_mins(2);

/// A page with a GUN client of our relay, which does what it is told; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Browser {
    child: Child,
    control: WebSocketStream<TcpStream>,
    next: u64,
    server: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Browser {
    /// Opens the page in a new browser, with nothing of any other in its storage.
    pub(crate) async fn open(relay: &str) -> Self {
        let (port, server) = serve().await;
        let control = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let control_port = control.local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("chromium");
        command.args([
            "--headless=new",
            // Nobody but the tests gives it pages; as root it has no sandbox.
            "--no-sandbox",
            "--disable-gpu",
            // Containers have little of the shared memory that it takes.
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-extensions",
            "--disable-sync",
            "--no-first-run",
            "--no-proxy-server",
        ]);
        command.arg(format!("--user-data-dir={}", folder.path().display()));
        let page = "http://127.0.0.1";
        command.arg(format!("{page}:{port}/page.html?control={control_port}&relay={relay}"));
        command.env("HOME", folder.path()).stdin(Stdio::null());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let (stream, _) = timeout(DEADLINE, control.accept()).await.unwrap().unwrap();
        let control = timeout(DEADLINE, accept_async(stream)).await.unwrap().unwrap();
        Self { child, control, next: 0, server, _folder: folder }
    }

    /// Makes a call and gives what the page answers.
    pub(crate) async fn call(&mut self, call: &str, mut job: Value) -> Value {
        self.next += 1;
        job["id"] = json!(self.next);
        job["call"] = json!(call);
        self.control.send(Message::text(job.to_string())).await.unwrap();
        let answer = async {
            loop {
                let Message::Text(text) = self.control.next().await.unwrap().unwrap() else {
                    continue;
                };
                let answer: Value = serde_json::from_str(&text).unwrap();
                if answer["id"] == job["id"] {
                    return answer;
                }
            }
        };
        let answer = timeout(DEADLINE, answer).await;
        let answer = answer.unwrap_or_else(|late| panic!("{late} waiting for {job}"));
        assert_eq!(answer["thrown"], Value::Null, "{job}");
        answer
    }

    /// Looks at a subscription until it has seen the right thing.
    pub(crate) async fn seen_until(&mut self, of: &str, is_right: impl Fn(&Value) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let seen = self.call("seen", json!({ "of": of })).await["value"].take();
            if is_right(&seen) {
                return;
            }
            assert!(Instant::now() < deadline, "still {seen}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.server.abort();
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// Serves the page and, from the npm package, its scripts; gives the port.
async fn serve() -> (u16, JoinHandle<()>) {
    let folder = tokio::task::spawn_blocking(packages::ready).await.unwrap();
    let package = folder.join("node_modules/gun");
    let file = |path: std::path::PathBuf, kind: &'static str| {
        let text = std::fs::read_to_string(path).unwrap();
        get(async move || ([(CONTENT_TYPE, kind)], text))
    };
    let (html, script) = ("text/html; charset=utf-8", "text/javascript; charset=utf-8");
    let router = Router::new()
        .route("/page.html", file(folder.join("page.html"), html))
        .route("/page.js", file(folder.join("page.js"), script))
        .route("/gun.js", file(package.join("gun.js"), script))
        .route("/sea.js", file(package.join("sea.js"), script));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        axum::serve(listener, router).await.unwrap();
    });
    (port, server)
}
