use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;

const HELLO: &str = "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD";
const HELLO_RAW: &str = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";

/// A gateway that gives every request the same answer.
async fn gateway(answer: &str) -> GatewayStorage {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = answer.to_owned();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = [0; 2048];
            let _ = socket.read(&mut request).await;
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    GatewayStorage::new(format!("http://{address}").parse().unwrap()).unwrap()
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

fn status(line: &str) -> String {
    format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

#[tokio::test]
async fn what_imports_to_the_id_is_believed_under_any_profile() {
    let gateway = gateway(&ok("hello world")).await;
    for id in [HELLO, HELLO_RAW] {
        let id = id.parse().unwrap();
        assert_eq!(gateway.get(&id, 11).await.unwrap(), "hello world");
        assert!(gateway.has(&id).await.unwrap());
    }
}

#[tokio::test]
async fn other_bytes_are_corrupt_and_never_returned() {
    let gateway = gateway(&ok("hello w0rld")).await;
    let error = gateway.get(&HELLO.parse().unwrap(), 100).await.unwrap_err();
    assert!(matches!(error, StorageError::Corrupt { .. }), "{error:?}");
}

#[tokio::test]
async fn a_body_is_read_up_to_the_limit_whatever_its_length_claims() {
    let endless = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}", "x".repeat(100_000));
    let gateway = gateway(&endless).await;
    let error = gateway.get(&HELLO.parse().unwrap(), 4200).await.unwrap_err();
    assert!(matches!(error, StorageError::TooLarge { limit: 4200, .. }), "{error:?}");
}

#[tokio::test]
async fn statuses_say_whether_to_try_again() {
    let id = HELLO.parse().unwrap();
    let missing = gateway(&status("404 Not Found")).await;
    assert!(matches!(missing.get(&id, 9).await, Err(StorageError::NotFound(_))));
    assert!(!missing.has(&id).await.unwrap());
    let busy = gateway(&status("503 Service Unavailable")).await.get(&id, 9).await.unwrap_err();
    assert!(busy.is_transient());
    let legal = gateway(&status("451 Unavailable For Legal Reasons")).await.get(&id, 9).await;
    assert!(matches!(legal, Err(StorageError::Refused { .. })));
}

#[tokio::test]
async fn nothing_is_stored_through_a_gateway() {
    let gateway = gateway(&ok("")).await;
    assert!(matches!(gateway.put("x".into()).await, Err(StorageError::Refused { .. })));
}
