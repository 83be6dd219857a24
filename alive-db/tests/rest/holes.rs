//! The findings of `spec/alivedb.md`, section 9, that concern this API; the others are tested where they are closed:
//! 1 and 2 in `sea::user_node`, 4 (frames), 11 and 14 in `gun`, 10 in the graph, 12 in core's timeline, 7 and 13 in the
//! chat.

use std::sync::Arc;

use alive_db::{
    database::{Changes, Database, DatabaseError},
    gun::{Delta, NodeDelta, State, Value},
    json::Text,
    rest::{HttpAddress, Listener, RestConfig, serve},
    sea::KeyPair,
};
use axum::{body::Body, http::Request};
use rstest::rstest;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

use crate::support::{Client, Got, push_body, stream_path};

/// Hole 1, end to end: a stranger's segment in a list that clients read.
#[tokio::test]
async fn a_forged_segment_is_never_listed() {
    let client = Client::new();
    let alice = client.user("alice").await;
    let mallory = KeyPair::generate().unwrap();
    let state = State::new(1_795_219_439_353.0).unwrap();
    let list = format!("~{alice}/hive/alice/s-1<?99999999999");
    for value in [
        Value::Link(format!("~{alice}/x").into()),
        Value::from("x"),
        Value::Text(
            format!(r##"{{":":{{"#":"~{alice}/x"}},"~":"x","*":"{}"}}"##, mallory.public()).into(),
        ),
    ] {
        let put = client.database.put(Delta::of(list.as_str(), "k", value, state)).await;
        assert!(matches!(put, Err(DatabaseError::Refused(_))), "{put:?}");
    }
    client.get(&stream_path(&alice)).await.is(200, json!([]));
}

/// Hole 3: others use the API of somebody's machine.
#[rstest]
#[case("/createUser")]
#[case("/loginUser")]
#[case("/changeKey")]
#[case("/pushStream")]
#[tokio::test]
async fn other_machines_do_not_act_for_the_user(#[case] path: &str) {
    let client = Client::new();
    client.user("alice").await;
    let text = "Only allowed from the machine of this server";
    client.from([192, 0, 2, 1]).post(path, push_body()).await.error(403, text);
    assert_ne!(client.post(path, push_body()).await.status, 403);
    // A name that somebody has pointed at this machine, so that his page may read the answers.
    let headers = [("host", "evil.example:3006")];
    let body = push_body().to_string();
    let got = client.post_with(path, "application/json", &headers, body).await;
    got.error(403, text);
    // A page elsewhere may send this type without asking; it counts as nothing.
    let got = client.post_with(path, "text/plain", &[], push_body().to_string()).await;
    assert_eq!(got.status, 400, "{got:?}");
}

/// Hole 3: passwords can be tried without end.
#[tokio::test]
async fn passwords_cannot_be_tried_without_end() {
    let client = Client::with(RestConfig::default().burst(3).remote_users(true), None);
    let attempt = json!({ "id": "nobody", "key": "password1" });
    for _ in 0..3 {
        assert_eq!(client.post("/loginUser", attempt.clone()).await.status, 400);
    }
    for path in ["/loginUser", "/createUser", "/changeKey", "/getToken"] {
        let got = client.post(path, attempt.clone()).await;
        got.error(429, "Too many requests");
        assert_eq!(got.headers["retry-after"], "1");
    }
    assert_eq!(client.from([192, 0, 2, 1]).post("/loginUser", attempt).await.status, 400);
    assert_eq!(client.get("/currentUser").await.status, 200, "what tries nothing is not counted");
}

/// Hole 4: values of another type end the process.
#[tokio::test]
async fn no_body_ends_the_process() {
    let client = Client::new();
    client.user("alice").await;
    let odd =
        [json!(5), json!([]), json!({}), json!(null), json!(true), json!("\u{0}"), json!(1e300)];
    for value in &odd {
        for name in ["network", "streamer", "link", "stream", "id", "pub", "key", "newkey"] {
            for path in ["/pushStream", "/createUser", "/loginUser", "/changeKey", "/getToken"] {
                let mut body = push_body();
                body[name] = value.clone();
                let got = client.post(path, body).await;
                let known = [200, 400, 401, 404, 500].contains(&got.status.as_u16());
                assert!(known && got.json().is_object(), "{path} {name} {value}: {got:?}");
            }
        }
        let got = client.post("/pushStream", value.clone()).await;
        assert_eq!(got.status, 400, "{value}");
    }
    for body in ["{", "", "[1", "\u{feff}{}", "nul", &"[".repeat(1000)] {
        for path in ["/pushStream", "/createUser", "/loginUser", "/changeKey"] {
            let got = client.post_with(path, "application/json", &[], body.to_owned()).await;
            inside_stays_inside(&got, 400);
        }
    }
}

/// Hole 4: a start with `login_pub` ends the process.
#[tokio::test]
async fn a_start_with_a_public_key_works() {
    let client = Client::new();
    let alice = client.user("alice").await;
    let restarted = Client::over(Arc::clone(&client.database), RestConfig::default(), None);
    restarted.api.login_by_key(&alice, "password1").await.unwrap();
    assert_eq!(restarted.api.user().unwrap().to_string(), alice);
    assert_eq!(restarted.get("/currentUser").await.json()["alias"], "alice");
    for other in ["", "x", "~", &alice[1..]] {
        assert!(restarted.api.login_by_key(other, "password1").await.is_err(), "{other}");
    }
}

/// Hole 5: `/changeKey` with a public key never answers.
#[tokio::test]
async fn a_password_is_changed_by_public_key_too() {
    let client = Client::new();
    let alice = client.user("alice").await;
    let change = |old: &str, new: &str| json!({ "pub": alice, "key": old, "newkey": new });
    let right = json!({ "success": true });
    client.post("/changeKey", change("password1", "password2")).await.is(200, right.clone());
    let wrong = json!({ "success": false, "error": "Wrong user or password." });
    client.post("/changeKey", change("password1", "password3")).await.is(400, wrong.clone());
    client.post("/loginUser", json!({ "id": "alice", "key": "password1" })).await.is(400, wrong);
    client.post("/loginUser", json!({ "id": "alice", "key": "password2" })).await.is(200, right);
    assert_eq!(client.get("/currentUser").await.json()["pub"], *alice);
}

/// Hole 9: times that are none.
#[rstest]
#[case("", 1)]
#[case("12abc", 1)]
#[case("-1", 1)]
#[case("NaN", 1)]
#[case("9999999999999", 0)]
#[tokio::test]
async fn a_time_that_is_none_is_zero(#[case] ts: &str, #[case] items: usize) {
    let client = Client::new();
    let alice = client.user("alice").await;
    client.post("/pushStream", push_body()).await.is(200, json!({ "success": true }));
    let got = client.get(&format!("{}&ts={ts}", stream_path(&alice))).await;
    assert_eq!(got.json().as_array().unwrap().len(), items);
}

/// Errors of the original are pages with file paths.
#[tokio::test]
async fn errors_are_json_and_say_nothing_of_the_inside() {
    let client = Client::new();
    inside_stays_inside(&client.get("/nothing").await, 404);
    inside_stays_inside(&client.get("/pushStream").await, 405);
    inside_stays_inside(&client.get(&format!("/?{}", "x".repeat(5000))).await, 414);
    inside_stays_inside(&client.get("/getStream?pub=%ff").await, 400);
    let big = vec![b' '; (100 << 10) + 1];
    inside_stays_inside(&client.post_with("/createUser", "application/json", &[], big).await, 413);
    let body = Request::post("/createUser").header("content-type", "application/json");
    let body = body.body(Body::from(vec![0xff, 0xfe])).unwrap();
    inside_stays_inside(&client.send(body).await, 400);
}

fn inside_stays_inside(got: &Got, status: u16) {
    assert_eq!(got.status, status, "{got:?}");
    assert_eq!(got.headers["content-type"], "application/json; charset=utf-8");
    let text = got.json()["error"].as_str().unwrap().to_owned();
    assert!(!text.contains(['/', '\n']) && !text.contains("panic"), "{text}");
}

/// A database of which every call fails.
#[derive(Debug)]
struct Failing;

impl Database for Failing {
    async fn node(&self, _: &Text) -> Result<Option<NodeDelta>, DatabaseError> {
        Err(DatabaseError::Unavailable("/secret/path: disk full".into()))
    }

    async fn put(&self, _: Delta) -> Result<(), DatabaseError> {
        Err(DatabaseError::Unavailable("/secret/path: disk full".into()))
    }

    async fn watch(&self, _: &Text) -> Result<Changes, DatabaseError> {
        Err(DatabaseError::Unavailable("/secret/path: disk full".into()))
    }

    fn next_state(&self) -> State {
        State::ZERO
    }
}

#[tokio::test]
async fn a_failing_database_is_not_shown() {
    let client = Client::over(Arc::new(Failing), RestConfig::default(), None);
    let body = json!({ "id": "alice", "key": "password1", "newkey": "password2" });
    client.post("/createUser", body.clone()).await.error(500, "Internal error");
    let failure = json!({ "success": false, "error": "Internal error" });
    client.post("/loginUser", body.clone()).await.is(400, failure.clone());
    client.post("/changeKey", body).await.is(400, failure);
    let alice = KeyPair::generate().unwrap().public().to_string();
    client.get(&stream_path(&alice)).await.error(503, "The database is unavailable");
}

/// A stranger may put any account under any alias.
#[tokio::test]
async fn other_accounts_under_an_alias_do_not_lock_its_user_out() {
    let client = Client::new();
    let alice = client.user("alice").await;
    let state = State::new(1_795_219_439_353.0).unwrap();
    for n in 0..5 {
        let soul = format!("~{n}.nobody");
        let link = Value::Link(soul.as_str().into());
        client.database.put(Delta::of("~@alice", soul, link, state)).await.unwrap();
    }
    client.api.login("alice", "password1").await.unwrap();
    assert_eq!(client.api.user().unwrap().to_string(), alice);
}

async fn ask(mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin) -> String {
    let request = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn it_is_served_over_tcp_and_on_a_socket_file() {
    let client = Client::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alivedb.sock");
    // What a process that was killed has left behind.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let unix = Listener::bind(&HttpAddress::Unix(path.clone())).await.unwrap();
    assert!(Listener::bind(&HttpAddress::Unix(path.clone())).await.is_err(), "it is in use");
    let tcp = HttpAddress::Tcp { host: "127.0.0.1".into(), port: 0 };
    let tcp = Listener::bind(&tcp).await.unwrap();
    let address = tcp.address().unwrap();
    let cancel = CancellationToken::new();
    let servers = [unix, tcp]
        .map(|listener| tokio::spawn(serve(listener, client.api.router(), cancel.clone())));
    let over_tcp = ask(tokio::net::TcpStream::connect(address).await.unwrap()).await;
    let on_file = ask(tokio::net::UnixStream::connect(&path).await.unwrap()).await;
    for answer in [over_tcp, on_file] {
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with(r#"{"ok":1,"message":"AliveDB server"}"#), "{answer}");
    }
    cancel.cancel();
    for server in servers {
        server.await.unwrap();
    }
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
