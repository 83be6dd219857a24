//! One call, and a server that fails it in every way that a connection can.

use std::time::Duration;

use alive_hive::rpc::{NodeErrorKind, RpcClient, RpcError};
use serde_json::{Value, json};

use super::stub::{Act, Reply, Stub, client, config, echo, good, http};

async fn call(client: &RpcClient) -> Result<Value, RpcError> {
    client.call("a.b", json!([7])).await
}

/// What a client says that has nobody else to ask, after one that has somebody got its answer.
async fn failure(act: Act) -> RpcError {
    let (bad, other) = (Stub::start(act).await, Stub::start(good).await);
    let both = client(&[&bad.url, &other.url]);
    assert_eq!(call(&both).await.unwrap(), json!([7]), "the other node answers");
    assert_eq!((bad.served(), other.served()), (1, 1));
    assert_eq!(both.health()[0].failures, 1);
    let error = call(&client(&[&bad.url])).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    error
}

#[tokio::test]
async fn a_silent_node_is_waited_for_no_longer_than_set() {
    let error = failure(|_, _| Reply::Silence).await;
    assert!(matches!(error, RpcError::Timeout { .. } | RpcError::Transport(_)), "{error:?}");
}

#[tokio::test]
async fn an_answer_that_drips_has_to_be_whole_in_time() {
    let act: Act =
        |_, _| Reply::Drip("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n{\"jsonrpc\":".into());
    let error = failure(act).await;
    assert!(matches!(error, RpcError::Timeout { .. } | RpcError::Transport(_)), "{error:?}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_none() {
    let cut: Act = |_, request| {
        let answer = echo(request).to_string();
        Reply::Bytes(format!("HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n{answer}"))
    };
    assert!(matches!(failure(cut).await, RpcError::Transport(_)));
    // Whole as far as HTTP goes, but half of the JSON.
    let half: Act = |_, request| {
        let answer = echo(request).to_string();
        http("200 OK", "", &answer[..answer.len() / 2])
    };
    assert!(matches!(failure(half).await, RpcError::NotJsonRpc(_)));
}

#[tokio::test]
async fn an_answer_without_end_is_read_up_to_the_limit() {
    let act: Act = |_, _| http("200 OK", "", &" ".repeat((1 << 16) + 1));
    assert!(matches!(failure(act).await, RpcError::TooLong { limit: 65536 }));
    let exact: Act = |_, request| {
        let answer = echo(request).to_string();
        http("200 OK", "", &format!("{answer}{}", " ".repeat((1 << 16) - answer.len())))
    };
    let node = Stub::start(exact).await;
    assert_eq!(call(&client(&[&node.url])).await.unwrap(), json!([7]));
}

#[tokio::test]
async fn what_is_no_json_rpc_is_said_to_be_none() {
    let bodies: [Act; 6] = [
        |_, _| http("200 OK", "", "<html><body>maintenance</body></html>"),
        |_, _| http("200 OK", "", ""),
        |_, _| http("200 OK", "", "[]"),
        |_, _| http("200 OK", "", r#"{"jsonrpc":"1.0","result":{},"id":1}"#),
        |_, _| http("200 OK", "", r#"{"result":{},"id":1}"#),
        |_, request| {
            let id = &request["id"];
            http("200 OK", "", &format!(r#"{{"jsonrpc":"2.0","id":{id}}}"#))
        },
    ];
    for body in bodies {
        assert!(matches!(failure(body).await, RpcError::NotJsonRpc(_)));
    }
    let other: Act = |_, _| http("200 OK", "", r#"{"jsonrpc":"2.0","result":{},"id":99999}"#);
    assert!(matches!(failure(other).await, RpcError::OtherId));
    // No HTTP at all.
    assert!(matches!(failure(|_, _| Reply::Bytes("hello".into())).await, RpcError::Transport(_)));
    assert!(matches!(failure(|_, _| Reply::Bytes(String::new())).await, RpcError::Transport(_)));
}

#[tokio::test]
async fn a_status_without_json_rpc_is_a_failure_of_the_node() {
    let acts: [Act; 4] = [
        |_, _| http("404 Not Found", "", "no"),
        |_, _| http("500 Oops", "", "<html>"),
        |_, _| http("502 Bad Gateway", "", ""),
        // A gateway's own error says nothing about the request.
        |_, request| {
            let id = &request["id"];
            let error = json!({ "code": 1, "message": "overload" });
            let body = format!(r#"{{"jsonrpc":"2.0","error":{error},"id":{id}}}"#);
            http("503 Busy", "", &body)
        },
    ];
    for act in acts {
        assert!(matches!(failure(act).await, RpcError::Status(_)));
    }
}

#[tokio::test]
async fn an_error_of_the_node_counts_whatever_the_status() {
    let acts: [Act; 3] = [
        |_, request| duplicate("200 OK", request),
        |_, request| duplicate("400 Bad Request", request),
        |_, request| duplicate("500 Internal Server Error", request),
    ];
    for act in acts {
        let (node, other) = (Stub::start(act).await, Stub::start(good).await);
        let client = client(&[&node.url, &other.url]);
        let error = call(&client).await.unwrap_err();
        assert_eq!(error.node().unwrap().kind(), NodeErrorKind::Duplicate);
        assert_eq!(other.served(), 0, "it is an answer, nobody else is asked");
        assert_eq!(client.health()[0].failures, 0);
    }
}

fn duplicate(status: &str, request: &Value) -> Reply {
    let error = json!({ "code": -32003, "message": "Duplicate transaction check failed" });
    let body = json!({ "jsonrpc": "2.0", "error": error, "id": request["id"] });
    http(status, "", &body.to_string())
}

#[tokio::test]
async fn nobody_is_followed_elsewhere() {
    // The place of the redirect would answer, and would get a signed transaction.
    let act: Act = |_, _| http("307 Temporary Redirect", "location: http://127.0.0.1:1/\r\n", "");
    assert!(
        matches!(failure(act).await, RpcError::Status(status) if status.as_u16() == 307),
        "not a refused connection to port 1"
    );
}

#[tokio::test]
async fn a_pause_that_a_node_asks_for_is_kept_and_others_are_asked() {
    let busy: Act = |_, _| http("429 Too Many Requests", "retry-after: 3600\r\n", "slow down");
    let (bad, other) = (Stub::start(busy).await, Stub::start(good).await);
    let long = Duration::from_hours(1);
    let pair = RpcClient::new(config(&[&bad.url, &other.url]).max_retry_after(long)).unwrap();
    for _ in 0..5 {
        call(&pair).await.unwrap();
    }
    assert_eq!((bad.served(), other.served()), (1, 5));
    assert!(pair.health()[0].is_paused);
    let alone = RpcClient::new(config(&[&bad.url]).max_retry_after(long)).unwrap();
    assert!(matches!(call(&alone).await, Err(RpcError::Status(_))));
    let held = call(&alone).await.unwrap_err();
    assert!(matches!(held, RpcError::Held { .. }) && held.is_transient(), "{held:?}");
    assert_eq!(bad.served(), 2, "it is left alone");
}

#[tokio::test]
async fn a_pause_is_cut_and_waited_for_where_there_is_time() {
    let once: Act = |count, request| match count {
        0 => http("503 Service Unavailable", "retry-after: 86400\r\n", ""),
        1 => http("503 Service Unavailable", "retry-after: Fri, 31 Dec 2099 23:59:59 GMT\r\n", ""),
        _ => good(count, request),
    };
    let node = Stub::start(once).await;
    let short = config(&[&node.url]).max_retry_after(Duration::from_millis(20)).rounds(3);
    assert_eq!(call(&RpcClient::new(short).unwrap()).await.unwrap(), json!([7]));
    assert_eq!(node.served(), 3);
}

#[tokio::test]
async fn nodes_are_gone_through_again_when_all_have_failed() {
    let second: Act = |count, request| match count {
        0 => http("502 Bad Gateway", "", ""),
        _ => good(count, request),
    };
    let (one, two) = (Stub::start(second).await, Stub::start(second).await);
    let client = RpcClient::new(config(&[&one.url, &two.url]).rounds(2)).unwrap();
    assert_eq!(call(&client).await.unwrap(), json!([7]));
    assert_eq!(one.served() + two.served(), 3);
    // A method that nobody has is not asked for again.
    let none: Act = |_, request| {
        let error = json!({ "code": -32601, "message": "no such method" });
        let body = json!({ "jsonrpc": "2.0", "error": error, "id": request["id"] });
        http("200 OK", "", &body.to_string())
    };
    let node = Stub::start(none).await;
    let client = RpcClient::new(config(&[&node.url]).rounds(9)).unwrap();
    assert!(!call(&client).await.unwrap_err().is_transient());
    assert_eq!(node.served(), 1);
}

#[tokio::test]
async fn passwords_in_addresses_show_nowhere() {
    let urls = ["http://user:hidden-1@127.0.0.1:1/hidden-2?key=hidden-3"];
    let client = client(&urls);
    let error = call(&client).await.unwrap_err();
    let mut source: Option<&dyn std::error::Error> = Some(&error);
    let mut shown = format!("{client:?} {:?} {error:?}", client.health());
    while let Some(error) = source {
        shown += &error.to_string();
        source = error.source();
    }
    assert!(!shown.contains("hidden"), "{shown}");
    assert!(!format!("{:?}", config(&urls)).contains("hidden"));
    assert_eq!(&*client.health()[0].name, "127.0.0.1:1");
}
