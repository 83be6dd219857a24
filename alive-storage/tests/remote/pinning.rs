//! A pinning service of our own that answers as the API is documented.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use alive_core::{
    backend::{Storage, StorageError},
    testing,
};
use alive_storage::{
    MemoryStorage, cid,
    pinning::{PinQuery, PinRequest, PinState, Pinned, PinningClient},
};
use axum::response::Response;

use crate::{
    options,
    server::{Request, Server, answer, serve},
};

/// Pins by their request id: the CID, the name, and how often their status has been asked.
#[derive(Clone, Default)]
struct Service {
    pins: Arc<Mutex<BTreeMap<u32, Pin>>>,
    /// What pins become, once they were looked at twice.
    fate: &'static str,
}

#[derive(Clone)]
struct Pin {
    cid: String,
    name: String,
    looks: u32,
}

impl Service {
    fn status(&self, id: u32, pin: &Pin) -> String {
        let status = match pin.looks {
            0 => "queued",
            1 => "pinning",
            _ => self.fate,
        };
        format!(
            r#"{{"requestid":"r{id}","status":"{status}","created":"2026-11-21T00:00:00Z","pin":{{"cid":"{}","name":"{}","origins":[],"meta":{{}}}},"delegates":["/ip4/203.0.113.1/tcp/4001"],"info":{{"x":"y"}}}}"#,
            pin.cid, pin.name
        )
    }

    fn add(&self, request: &Request) -> (u32, Pin) {
        let asked: BTreeMap<String, serde_json::Value> =
            serde_json::from_slice(&request.body).unwrap();
        let text = |name: &str| asked.get(name).map_or("", |v| v.as_str().unwrap()).to_owned();
        let mut pins = self.pins.lock().unwrap();
        let id = u32::try_from(pins.len()).unwrap();
        let pin = Pin { cid: text("cid"), name: text("name"), looks: 0 };
        pins.insert(id, pin.clone());
        (id, pin)
    }

    fn handle(&self, request: &Request) -> Response {
        let json = |status, text: String| answer(status, "application/json", text);
        if request.header("authorization") != "Bearer t0ken" {
            let why = r#"{"error":{"reason":"UNAUTHORIZED","details":"token is wrong"}}"#;
            return json(401, why.into());
        }
        let id = request.path().strip_prefix("/psa/pins/r").map(|id| id.parse::<u32>().unwrap());
        match (request.method.as_str(), id) {
            ("POST", None) => {
                let (id, pin) = self.add(request);
                json(202, self.status(id, &pin))
            }
            ("POST", Some(old)) => {
                self.pins.lock().unwrap().remove(&old);
                let mut pins = self.pins.lock().unwrap();
                let fresh = Pin { cid: String::new(), name: String::new(), looks: 0 };
                pins.insert(old, fresh);
                drop(pins);
                let (id, pin) = self.add(request);
                json(202, self.status(id, &pin))
            }
            ("GET", None) => {
                let (cids, states) = (request.query("cid"), request.query("status"));
                let states = states.unwrap_or("pinned".into());
                let found: Vec<_> = (self.pins.lock().unwrap().iter())
                    .filter(|(_, pin)| cids.as_ref().is_none_or(|ids| ids.contains(&pin.cid)))
                    .map(|(id, pin)| self.status(*id, pin))
                    .filter(|pin| states.split(',').any(|s| pin.contains(&format!("\"{s}\""))))
                    .collect();
                json(200, format!(r#"{{"count":{},"results":[{}]}}"#, found.len(), found.join(",")))
            }
            (method, Some(id)) => {
                let mut pins = self.pins.lock().unwrap();
                if method == "DELETE" {
                    return json(if pins.remove(&id).is_some() { 202 } else { 404 }, String::new());
                }
                let Some(pin) = pins.get_mut(&id) else {
                    return json(404, r#"{"error":{"reason":"NOT_FOUND"}}"#.into());
                };
                pin.looks += 1;
                json(200, self.status(id, pin))
            }
            other => panic!("{other:?}"),
        }
    }
}

async fn service(fate: &'static str) -> (Service, Server, PinningClient) {
    let service = Service { fate, ..Service::default() };
    let answering = service.clone();
    let server = serve(move |request| {
        let service = answering.clone();
        async move { service.handle(&request) }
    })
    .await;
    let url = format!("{}/psa", server.url).parse().unwrap();
    let client = PinningClient::new(url, "t0ken", &options()).unwrap();
    let client = client.with_first_poll(Duration::from_millis(1));
    (service, server, client)
}

const ROOT: &str = "bafybeihykld7uyxzogax6vgyvag42y7464eywpf55gxi5qpoisibh3c5wa";

#[tokio::test]
async fn a_pin_is_asked_for_waited_for_listed_replaced_and_removed() {
    let (_, _server, client) = service("pinned").await;
    let root = cid::parse(ROOT).unwrap();
    let asked = client.add(&PinRequest::new(root).name("stream-1")).await.unwrap();
    assert_eq!((asked.state, asked.name()), (PinState::Queued, "stream-1"));
    assert_eq!(client.list(&PinQuery::default()).await.unwrap(), []);
    let done = client.wait(asked, Duration::from_mins(1)).await.unwrap();
    assert_eq!((done.state, done.cid().unwrap()), (PinState::Pinned, root));
    assert_eq!(done.delegates, ["/ip4/203.0.113.1/tcp/4001"]);
    let mut query = PinQuery::default();
    query.cids = vec![root];
    query.states = vec![PinState::Pinned, PinState::Failed];
    assert_eq!(client.list(&query).await.unwrap(), std::slice::from_ref(&done));
    let other = cid::to_v1(&cid::parse("QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH").unwrap());
    let replaced = client.replace(&done.id, &PinRequest::new(other)).await.unwrap();
    assert_eq!(replaced.cid().unwrap(), other);
    client.remove(&replaced.id).await.unwrap();
    client.remove(&replaced.id).await.unwrap();
    assert_eq!(client.status(&replaced.id).await.unwrap_err().status(), Some(404));
}

#[tokio::test]
async fn a_pin_that_takes_too_long_is_given_up() {
    let (_, _server, client) = service("pinning").await;
    let asked = client.add(&PinRequest::new(cid::parse(ROOT).unwrap())).await.unwrap();
    let error = client.wait(asked, Duration::from_millis(20)).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn a_wrong_token_is_told_with_the_services_reason_and_not_printed() {
    let (_, server, _) = service("pinned").await;
    let url = format!("{}/psa", server.url).parse().unwrap();
    let client = PinningClient::new(url, "gue55", &options()).unwrap();
    let error = client.add(&PinRequest::new(cid::parse(ROOT).unwrap())).await.unwrap_err();
    assert_eq!(error.status(), Some(401));
    assert!(error.to_string().contains("UNAUTHORIZED: token is wrong"), "{error}");
    assert!(!format!("{client:?} {error:?}").contains("gue55"));
}

#[tokio::test]
async fn a_service_that_speaks_of_other_content_is_not_believed() {
    let server = serve(|_| async {
        let pin = r#"{"requestid":"r1","status":"pinned","created":"x","pin":{"cid":"QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"},"delegates":[]}"#;
        answer(202, "application/json", pin)
    })
    .await;
    let client = PinningClient::new(server.url.clone(), "t", &options()).unwrap();
    assert!(client.add(&PinRequest::new(cid::parse(ROOT).unwrap())).await.is_err());
}

#[tokio::test]
async fn a_storage_with_a_service_beside_it_passes_the_suite_and_pins_there() {
    let (service, _server, client) = service("pinned").await;
    let storage = Pinned::new(MemoryStorage::default(), client).with_name("alive");
    let id = storage.put("hello".into()).await.unwrap();
    storage.pin(&id).await.unwrap();
    let names: Vec<_> = service.pins.lock().unwrap().values().map(|p| p.name.clone()).collect();
    assert_eq!(names, ["alive", "alive"]);
    testing::storage(&storage).await;
}

#[tokio::test]
async fn a_pin_that_failed_is_an_error_of_the_storage() {
    let (_, _server, client) = service("failed").await;
    let storage = Pinned::new(MemoryStorage::default(), client);
    let id = storage.put("hello".into()).await.unwrap();
    let error = storage.pin(&id).await.unwrap_err();
    assert!(matches!(error, StorageError::Unavailable { .. }), "{error:?}");
}
