//! Batches, and servers that answer them badly.

use std::time::Duration;

use alive_hive::rpc::{NodeErrorKind, RpcCall, RpcClient, RpcError};
use serde_json::{Value, json};

use super::stub::{Act, Reply, Stub, client, config, echo, good, http};

fn calls(count: usize) -> Vec<RpcCall> {
    (0..count).map(|number| RpcCall::new("a.b", json!([number]))).collect()
}

fn results(count: usize) -> Vec<Value> {
    (0..count).map(|number| json!([number])).collect()
}

async fn ask(client: &RpcClient, count: usize) -> Vec<Value> {
    let answers = client.call_batch(&calls(count)).await;
    answers.into_iter().map(Result::unwrap).collect()
}

/// How many requests of each body came.
fn sizes(stub: &Stub) -> Vec<usize> {
    stub.bodies().iter().map(|body| body.as_array().map_or(1, Vec::len)).collect()
}

fn send(answers: Vec<Value>) -> Reply {
    http("200 OK", "", &Value::Array(answers).to_string())
}

fn items(request: &Value) -> &[Value] {
    request.as_array().unwrap()
}

#[tokio::test]
async fn results_come_in_the_order_of_the_calls_whatever_the_order_of_the_answers() {
    let backwards: Act = |_, request| send(items(request).iter().rev().map(echo).collect());
    let node = Stub::start(backwards).await;
    assert_eq!(ask(&client(&[&node.url]), 9).await, results(9));
    assert_eq!(sizes(&node), [9]);
}

#[tokio::test]
async fn long_batches_are_split_and_none_is_empty() {
    let node = Stub::start(good).await;
    let client = RpcClient::new(config(&[&node.url]).max_batch(4)).unwrap();
    assert_eq!(ask(&client, 9).await, results(9));
    assert_eq!(sizes(&node), [4, 4, 1]);
    assert!(!node.bodies()[2].is_array(), "one call is no batch");
    assert!(ask(&client, 0).await.is_empty());
    assert_eq!(node.served(), 3);
}

#[tokio::test]
async fn what_is_answered_is_kept_and_the_rest_asked_elsewhere() {
    // It breaks in the middle: answers every second request, is too busy for one, and has nothing for the others.
    let half: Act = |_, request| {
        let mut answers: Vec<Value> = items(request).iter().step_by(2).map(echo).collect();
        let busy = json!({ "code": -32603, "message": "Internal Error" });
        let id = &items(request)[1]["id"];
        answers.push(json!({ "jsonrpc": "2.0", "error": busy, "id": id }));
        send(answers)
    };
    let (first, second) = (Stub::start(half).await, Stub::start(good).await);
    assert_eq!(ask(&client(&[&first.url, &second.url]), 8).await, results(8));
    assert_eq!((sizes(&first), sizes(&second)), (vec![8], vec![4]));
    let asked: Vec<Value> =
        items(&second.bodies()[0]).iter().map(|one| one["params"].clone()).collect();
    assert_eq!(asked, [json!([1]), json!([3]), json!([5]), json!([7])]);
    // Alone, what it answered is still there.
    let alone = client(&[&first.url]).call_batch(&calls(8)).await;
    for (number, answer) in alone.into_iter().enumerate() {
        match answer {
            Ok(result) => assert_eq!((number % 2, result), (0, json!([number]))),
            Err(error) => assert!(number % 2 == 1 && error.is_transient(), "{error:?}"),
        }
    }
}

#[tokio::test]
async fn an_error_of_the_node_is_the_answer_to_its_own_call_only() {
    let one: Act = |_, request| {
        let answer = |request: &Value| match &request["params"] {
            params if *params == json!([2]) => {
                let error = json!({ "code": -32002, "message": "bad" });
                json!({ "jsonrpc": "2.0", "error": error, "id": request["id"] })
            }
            _ => echo(request),
        };
        send(items(request).iter().map(answer).collect())
    };
    let (node, other) = (Stub::start(one).await, Stub::start(good).await);
    let answers = client(&[&node.url, &other.url]).call_batch(&calls(4)).await;
    for (number, answer) in answers.into_iter().enumerate() {
        match answer {
            Ok(result) => assert_eq!(result, json!([number])),
            Err(error) => {
                assert_eq!((number, error.node().unwrap().kind()), (2, NodeErrorKind::BadParams));
            }
        }
    }
    assert_eq!(other.served(), 0);
}

#[tokio::test]
async fn a_result_that_its_reader_refuses_is_asked_for_elsewhere() {
    let lies: Act = |_, request| {
        let mut answers: Vec<Value> = items(request).iter().map(echo).collect();
        answers[1]["result"] = json!("garbage");
        send(answers)
    };
    let (first, second) = (Stub::start(lies).await, Stub::start(good).await);
    let client = client(&[&first.url, &second.url]);
    let calls = calls(3);
    let answers = client.ask_batch(&calls, |index, result| {
        let is_it = result.get() == format!("[{index}]");
        is_it.then_some(index).ok_or(RpcError::Answer("its own number"))
    });
    let answers: Vec<usize> = answers.await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers, [0, 1, 2]);
    assert_eq!((sizes(&first), sizes(&second)), (vec![3], vec![1]));
}

#[tokio::test]
async fn a_batch_with_an_id_twice_or_of_nobody_is_worth_nothing() {
    let acts: [Act; 5] = [
        |_, request| {
            let mut answers: Vec<Value> = items(request).iter().map(echo).collect();
            answers[0]["id"] = answers[1]["id"].clone();
            send(answers)
        },
        |_, request| {
            let mut answers: Vec<Value> = items(request).iter().map(echo).collect();
            answers[2]["id"] = json!(1_000_000);
            send(answers)
        },
        |_, request| {
            let mut answers: Vec<Value> = items(request).iter().map(echo).collect();
            answers.push(answers[0].clone());
            send(answers)
        },
        |_, _| http("200 OK", "", "<html>"),
        |_, request| http("200 OK", "", &echo(&items(request)[0]).to_string()),
    ];
    for act in acts {
        let (first, second) = (Stub::start(act).await, Stub::start(good).await);
        let both = client(&[&first.url, &second.url]);
        assert_eq!(ask(&both, 3).await, results(3));
        assert_eq!((sizes(&first), sizes(&second)), (vec![3], vec![3]), "all is asked again");
        assert_eq!(both.health()[0].failures, 1);
        let alone = client(&[&first.url]).call_batch(&calls(3)).await;
        assert!(alone.iter().all(|answer| answer.as_ref().is_err_and(RpcError::is_transient)));
    }
}

#[tokio::test]
async fn a_node_that_takes_no_batches_is_asked_one_by_one_and_not_blamed() {
    let acts: [Act; 4] = [
        |count, request| if request.is_array() { refuse(request) } else { good(count, request) },
        |count, request| match request {
            Value::Array(_) => http("400 Bad Request", "", "<html>bad request</html>"),
            request => good(count, request),
        },
        |count, request| match request {
            Value::Array(_) => http("413 Payload Too Large", "", ""),
            request => good(count, request),
        },
        |count, request| match request {
            Value::Array(_) => http("405 Method Not Allowed", "", "no"),
            request => good(count, request),
        },
    ];
    for act in acts {
        let node = Stub::start(act).await;
        let client = client(&[&node.url]);
        assert_eq!(ask(&client, 3).await, results(3));
        assert_eq!(sizes(&node), [3, 1, 1, 1]);
        assert_eq!(ask(&client, 3).await, results(3));
        assert_eq!(sizes(&node), [3, 1, 1, 1, 1, 1, 1], "it is not tried again");
        assert_eq!(client.health()[0].failures, 0);
    }
}

fn refuse(_: &Value) -> Reply {
    let error = json!({ "code": -32600, "message": "batches are not supported" });
    http("200 OK", "", &json!({ "jsonrpc": "2.0", "error": error, "id": null }).to_string())
}

#[tokio::test]
async fn a_method_that_one_node_lacks_is_asked_of_another_within_a_batch() {
    let lacks: Act = |_, request| {
        let answer = |request: &Value| match request["method"].as_str() {
            Some("c.d") => {
                let error = json!({ "code": -32601, "message": "no such method" });
                json!({ "jsonrpc": "2.0", "error": error, "id": request["id"] })
            }
            _ => echo(request),
        };
        send(items(request).iter().map(answer).collect())
    };
    let (first, second) = (Stub::start(lacks).await, Stub::start(good).await);
    let client = client(&[&first.url, &second.url]);
    let mut calls = calls(3);
    calls[1] = RpcCall::new("c.d", json!([1]));
    let answers = client.call_batch(&calls).await;
    let answers: Vec<Value> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers, results(3));
    assert_eq!(client.health()[0].failures, 0, "lacking a method is no failure");
}

#[tokio::test]
async fn a_node_that_falls_silent_in_the_middle_loses_only_what_is_missing() {
    // It takes no batches and answers one request.
    let dying: Act = |count, request| match (count, request) {
        (_, Value::Array(_)) => refuse(request),
        (1, request) => http("200 OK", "", &echo(request).to_string()),
        _ => Reply::Silence,
    };
    let (first, second) = (Stub::start(dying).await, Stub::start(good).await);
    let config = config(&[&first.url, &second.url]).timeout(Duration::from_millis(300));
    let client = RpcClient::new(config).unwrap();
    assert_eq!(ask(&client, 4).await, results(4));
    assert_eq!((sizes(&first), sizes(&second)), (vec![4, 1, 1], vec![3]));
}
