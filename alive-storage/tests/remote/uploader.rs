//! An uploader of our own in the shape of the original's.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use alive_core::{
    backend::{Cause, Storage, StorageError},
    testing,
};
use alive_storage::{
    MemoryStorage,
    uploader::{Login, LoginMessage, SignedLogin, UploaderClient, UploaderStorage},
};
use axum::response::Response;

use crate::{
    options,
    server::{Request, Server, answer, pairs, serve},
};

const BLOCK: &str = "05f5e1001234567890123456789012345678abcd";

/// An uploader whose sessions last for some uploads.
#[derive(Clone)]
struct Uploader {
    store: MemoryStorage,
    logins: Arc<AtomicU32>,
    uploads: Arc<AtomicU32>,
    chunks: Arc<AtomicU32>,
    /// Uploads of a session.
    lasts: u32,
    /// What is stored instead of what was sent.
    forgery: Option<&'static str>,
}

impl Uploader {
    async fn handle(&self, request: &Request) -> Response {
        let json = |text: String| answer(200, "application/json", text);
        if request.path() == "/loginsig" {
            assert_eq!(request.header("content-type"), "text/plain");
            let signature = "1f".repeat(65);
            let want = format!("alice:oneloveipfs_login:hive:100000000:{BLOCK}:{signature}");
            if request.body != want {
                return json(r#"{"error":"Invalid signature"}"#.into());
            }
            self.uploads.store(0, Ordering::SeqCst);
            let login = self.logins.fetch_add(1, Ordering::SeqCst) + 1;
            return json(format!(r#"{{"error":null,"access_token":"t{login}&x"}}"#));
        }
        let token = format!("t{}&x", self.logins.load(Ordering::SeqCst));
        let spent = self.uploads.fetch_add(1, Ordering::SeqCst) >= self.lasts;
        if request.query("access_token") != Some(token) || spent {
            return answer(401, "application/json", r#"{"error":"expired"}"#);
        }
        let data = match request.path() {
            "/uploadStream" => {
                assert_eq!(request.field("streamId").unwrap().1, "stream-1");
                request.field("segment").unwrap().1
            }
            "/uploadChunk" => {
                self.chunks.fetch_add(1, Ordering::SeqCst);
                let form = pairs(std::str::from_utf8(&request.body).unwrap());
                assert_eq!(form[0].0, "content");
                form[0].1.clone().into()
            }
            other => panic!("{other}"),
        };
        let data = self.forgery.map_or(data, Into::into);
        let id = self.store.put(data).await.unwrap();
        json(format!(r#"{{"hash":"{id}"}}"#))
    }
}

/// Signs with what looks like a signature.
#[derive(Debug)]
struct Alice(u8);

impl Login for Alice {
    async fn sign(&self) -> Result<SignedLogin, Cause> {
        let account = "alice".parse()?;
        let message = LoginMessage::new(&account, 100_000_000, BLOCK)?;
        Ok::<_, Infallible>(SignedLogin::new(message, [self.0; 65])).map_err(Into::into)
    }
}

async fn uploader(
    lasts: u32,
    forgery: Option<&'static str>,
) -> (Uploader, Server, UploaderStorage<Alice, MemoryStorage>) {
    let uploader = Uploader {
        store: MemoryStorage::default(),
        logins: Arc::default(),
        uploads: Arc::default(),
        chunks: Arc::default(),
        lasts,
        forgery,
    };
    let answering = uploader.clone();
    let server = serve(move |request| {
        let uploader = answering.clone();
        async move { uploader.handle(&request).await }
    })
    .await;
    let client = UploaderClient::new(server.url.clone(), &options()).unwrap();
    let link = "stream-1".parse().unwrap();
    let storage = UploaderStorage::new(client, Alice(0x1f), link, uploader.store.clone());
    (uploader, server, storage)
}

#[tokio::test]
async fn the_uploader_passes_the_suite_with_one_login() {
    let (uploader, _server, storage) = uploader(u32::MAX, None).await;
    testing::storage(&storage).await;
    assert_eq!(uploader.logins.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn chunks_go_up_as_text_and_everything_else_as_segments() {
    let (uploader, _server, storage) = uploader(u32::MAX, None).await;
    let chunk = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH,10.005\n\
                 Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD,9.9\n";
    let id = storage.put(chunk.into()).await.unwrap();
    assert_eq!(uploader.chunks.load(Ordering::SeqCst), 1);
    assert_eq!(storage.get(&id, 4200).await.unwrap(), chunk);
    storage.put("a text that is no chunk".into()).await.unwrap();
    storage.put(vec![0xff; 100].into()).await.unwrap();
    assert_eq!(uploader.chunks.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_session_that_has_ended_is_renewed_once() {
    let (uploader, _server, storage) = uploader(2, None).await;
    for n in 0..6_u8 {
        storage.put(vec![n].into()).await.unwrap();
    }
    assert_eq!(uploader.logins.load(Ordering::SeqCst), 3);
    let (uploader, _server, storage) = self::uploader(0, None).await;
    let error = storage.put("x".into()).await.unwrap_err();
    assert!(matches!(error, StorageError::Refused { .. }), "{error:?}");
    assert_eq!(uploader.logins.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn another_id_than_ours_is_an_error() {
    let (_, _server, storage) = uploader(9, Some("forged")).await;
    let error = storage.put("hello".into()).await.unwrap_err();
    let StorageError::Refused { source, .. } = error else { panic!("{error:?}") };
    let cause = std::error::Error::source(&*source).unwrap().to_string();
    assert!(cause.contains("the uploader says"), "{cause}");
}

#[tokio::test]
async fn a_refused_login_is_an_error_and_nothing_is_uploaded() {
    let (uploader, server, _) = uploader(9, None).await;
    let client = UploaderClient::new(server.url.clone(), &options()).unwrap();
    let link = "stream-1".parse().unwrap();
    let storage = UploaderStorage::new(client, Alice(0x20), link, uploader.store.clone());
    let error = storage.put("hello".into()).await.unwrap_err();
    assert!(matches!(error, StorageError::Refused { .. }), "{error:?}");
    assert_eq!(uploader.uploads.load(Ordering::SeqCst), 0);
}

#[test]
fn a_login_names_a_real_block_and_its_signature_is_not_printed() {
    let account = "alice".parse().unwrap();
    for id in ["", "xyz", &BLOCK[..39], "zz5e1001234567890123456789012345678abcd00"] {
        assert!(LoginMessage::new(&account, 1, id).is_err(), "{id}");
    }
    let message = LoginMessage::new(&account, 100_000_000, BLOCK).unwrap();
    let signed = SignedLogin::new(message, [0x1f; 65]);
    assert!(!format!("{signed:?}").contains("31, 31"));
}
