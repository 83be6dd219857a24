//! A face on a port of its own.

use std::net::SocketAddr;

use alive_storage::{
    MemoryStorage,
    serve::{Face, FaceConfig},
};
use reqwest::{Client, Method, RequestBuilder, Response, multipart};
use serde_json::Value;

/// A running face over a store in memory.
pub(crate) struct Served {
    pub(crate) storage: MemoryStorage,
    pub(crate) address: SocketAddr,
    client: Client,
}

impl Served {
    pub(crate) async fn start(config: FaceConfig) -> Self {
        let storage = MemoryStorage::default();
        let router = Face::new(storage.clone(), config).router();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // It ends with the runtime of the test.
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { storage, address, client: Client::new() }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    pub(crate) async fn call(&self, command: &str) -> Response {
        self.request(Method::POST, &format!("/api/v0/{command}")).send().await.unwrap()
    }

    pub(crate) async fn upload(&self, command: &str, parts: Vec<multipart::Part>) -> Response {
        let form = multipart::Form::new();
        let form = parts.into_iter().fold(form, |form, part| form.part("file", part));
        let request = self.request(Method::POST, &format!("/api/v0/{command}")).multipart(form);
        request.send().await.unwrap()
    }

    /// The records that an `add` gives.
    pub(crate) async fn add(&self, options: &str, files: &[(&str, &[u8])]) -> Vec<Value> {
        let parts = files.iter().map(|(name, bytes)| file(name, bytes)).collect();
        let answer = self.upload(&format!("add?{options}"), parts).await;
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
        lines(answer).await
    }
}

pub(crate) fn file(name: &str, bytes: &[u8]) -> multipart::Part {
    multipart::Part::bytes(bytes.to_vec()).file_name(name.to_owned())
}

/// The JSON values of an answer, one a line.
pub(crate) async fn lines(answer: Response) -> Vec<Value> {
    let text = answer.text().await.unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Bytes that differ everywhere.
pub(crate) fn content(len: usize) -> Vec<u8> {
    (0_u32..).flat_map(u32::to_le_bytes).take(len).collect()
}
