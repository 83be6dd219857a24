//! The authenticated uploader that the original daemon stores with: [`UploaderStorage`].
//!
//! Source: `spec/storage.md`, section 6, "`OneLoveIPFS` uploader" (its shape was read, not run).

mod client;

use alive_core::{
    Chunk, ContentId, Link,
    backend::{Storage, StorageError},
};
use bytes::Bytes;
use tokio::sync::Mutex;

pub use self::client::{
    Login, LoginError, LoginMessage, LoginMessageError, SignedLogin, UploaderClient,
};
use self::client::{Session, UploadError};
use crate::{cid, http, http::hashing, proof::cid_of, unixfs::ImportOptions};

/// What errors of this backend call it.
const BACKEND: &str = "uploader";

/// Stores a stream's content with an uploader, and reads it from another storage (a gateway, as a rule).
///
/// A text that is a chunk goes up as one, all else as a segment of the stream. The id that the uploader returns is compared
/// with the one computed here. It logs in when it first must, and once more when its session has ended.
#[derive(Debug)]
pub struct UploaderStorage<L, R> {
    client: UploaderClient,
    login: L,
    link: Link,
    reader: R,
    session: Mutex<Option<Session>>,
}

impl<L: Login, R: Storage> UploaderStorage<L, R> {
    /// Stores content of the stream `link` with the account that `login` signs for, and reads from `reader`.
    pub fn new(client: UploaderClient, login: L, link: Link, reader: R) -> Self {
        Self { client, login, link, reader, session: Mutex::new(None) }
    }

    /// Uploads, with a new login if the session has ended.
    async fn upload(&self, data: &Bytes) -> Result<String, UploadError> {
        let mut held = self.session.lock().await;
        let session = match &*held {
            Some(session) => session.clone(),
            None => held.insert(self.client.login(&self.login).await?).clone(),
        };
        drop(held);
        match self.send(&session, data).await {
            Err(error) if error.is_unauthorized() => {
                let mut held = self.session.lock().await;
                // Another upload may have logged in meanwhile.
                let fresh = match &*held {
                    Some(newer) if *newer != session => newer.clone(),
                    _ => held.insert(self.client.login(&self.login).await?).clone(),
                };
                drop(held);
                self.send(&fresh, data).await
            }
            done => done,
        }
    }

    async fn send(&self, session: &Session, data: &Bytes) -> Result<String, UploadError> {
        let text = std::str::from_utf8(data).ok().filter(|_| data.len() <= Chunk::MAX_BYTES);
        match text.filter(|text| text.parse::<Chunk>().is_ok()) {
            Some(chunk) => self.client.upload_chunk(session, chunk).await,
            None => self.client.upload_segment(session, &self.link, data).await,
        }
    }

    fn error(&self, error: UploadError) -> StorageError {
        let server = self.client.server();
        match error {
            UploadError::Http(error) => http::storage_error(BACKEND, server, error),
            UploadError::Login(LoginError::Http(error)) => {
                http::storage_error(BACKEND, server, error)
            }
            UploadError::Login(LoginError::Signer(source)) => {
                StorageError::Unavailable { backend: BACKEND, source }
            }
            other => StorageError::Refused { backend: BACKEND, source: http::at(server, other) },
        }
    }
}

impl<L: Login, R: Storage> Storage for UploaderStorage<L, R> {
    async fn put(&self, data: Bytes) -> Result<ContentId, StorageError> {
        let content = data.clone();
        let ours = hashing(BACKEND, move || cid_of(&content, ImportOptions::default())).await?;
        let said = self.upload(&data).await.map_err(|error| self.error(error))?;
        let theirs = cid::parse(&said).map_err(|error| self.error(error.into()))?;
        if theirs != ours {
            let error = UploadError::OtherId { ours: ours.into(), theirs: theirs.into() };
            return Err(self.error(error));
        }
        cid::to_content(&ours)
            .map_err(|error| StorageError::Refused { backend: BACKEND, source: error.into() })
    }

    async fn get(&self, id: &ContentId, limit: usize) -> Result<Bytes, StorageError> {
        self.reader.get(id, limit).await
    }

    async fn has(&self, id: &ContentId) -> Result<bool, StorageError> {
        self.reader.has(id).await
    }

    /// The uploader keeps what it was given; there is nothing to ask it for but whether the content is there.
    async fn pin(&self, id: &ContentId) -> Result<(), StorageError> {
        if self.has(id).await? { Ok(()) } else { Err(StorageError::NotFound(*id)) }
    }
}
