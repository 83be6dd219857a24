//! Content on Skynet through a portal that nobody needs to trust: [`SkynetStorage`].
//!
//! The public portals are gone; this speaks to any portal that answers as theirs did.
//! Source: `spec/storage.md`, section 8.4.

use std::fmt;

use alive_core::{
    ContentId, GatewayUrl,
    backend::{Storage, StorageError},
};
use bytes::Bytes;
use reqwest::{
    Method, RequestBuilder, StatusCode,
    header::{CONTENT_TYPE, HeaderValue},
};
use serde::Deserialize;

use crate::{
    http::{
        self, Http, HttpError, HttpOptions, hashing,
        multipart::{Field, Form},
    },
    sia::{MerkleRoot, SECTOR_BYTES},
    skyfile::{Skyfile, SkyfileMetadata},
    skylink::{Skylink, SkylinkError},
};

/// What errors of this backend call it.
const BACKEND: &str = "skynet portal";
/// Name, media type and permissions of what is uploaded; they are part of what the link is made of.
const FILE_NAME: &str = "alive.bin";
const MEDIA_TYPE: &str = "application/octet-stream";
const MODE: u64 = 0o644;
/// Longest answer to an upload, in bytes.
const MAX_ANSWER: usize = 4096;
/// The header for the key of an account.
const API_KEY: &str = "skynet-api-key";

/// Keeps files on Skynet through a portal, each in one sector (4 MiB with its metadata).
///
/// What is read is checked against the sector's Merkle root, which takes the bytes that the link names and no more: the rest
/// of the sector of a small file is zeros. What a portal says after an upload is checked too: it must be the link that
/// follows from the content, or a link under which the content is really found.
///
/// ```
/// use alive_storage::{HttpOptions, SkynetStorage};
/// let portal = SkynetStorage::new("https://portal.example".parse()?, &HttpOptions::default())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SkynetStorage {
    portal: GatewayUrl,
    http: Http,
    api_key: Option<HeaderValue>,
}

impl SkynetStorage {
    /// A client of this portal.
    ///
    /// # Errors
    /// The HTTP client cannot be made.
    pub fn new(portal: GatewayUrl, options: &HttpOptions) -> Result<Self, StorageError> {
        let http = Http::new(options);
        let http = http.map_err(|error| http::storage_error(BACKEND, &portal, error))?;
        Ok(Self { portal, http, api_key: None })
    }

    /// Uses an account's key. It is sent with every request, and never printed.
    ///
    /// # Errors
    /// It cannot stand in a header.
    pub fn with_api_key(self, key: &str) -> Result<Self, StorageError> {
        let mut key = HeaderValue::from_str(key).map_err(|_| StorageError::Refused {
            backend: BACKEND,
            source: Problem::ApiKey.into(),
        })?;
        key.set_sensitive(true);
        Ok(Self { api_key: Some(key), ..self })
    }

    fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, HttpError> {
        let request = self.http.request(method, http::url_of(&self.portal, path)?)?;
        Ok(match &self.api_key {
            Some(key) => request.header(API_KEY, key.clone()),
            None => request,
        })
    }

    /// Uploads a file and tells which link the portal gave it.
    async fn upload(&self, data: &[u8]) -> Result<Skylink, UploadError> {
        let file = Field::File { name: "file", file: FILE_NAME, media_type: MEDIA_TYPE, data };
        let form = Form::new(&[file])?;
        let len = form.body.len();
        let request = self.request(Method::POST, "/skynet/skyfile")?;
        let request = request.header(CONTENT_TYPE, form.content_type).body(form.body);
        let mut answer = self.http.send_ok(request, len).await?;
        let said: Uploaded = answer.json(MAX_ANSWER).await?;
        let link: Skylink = said.skylink.parse()?;
        let root = link.merkle_root().map(|root| root.to_string());
        let agrees = said.merkleroot.is_none_or(|said| Some(said) == root)
            && said.bitfield.is_none_or(|said| said == link.bitfield());
        if root.is_some() && agrees { Ok(link) } else { Err(UploadError::Contradiction) }
    }

    /// The part of the sector that a link names, checked against its root.
    async fn sector(&self, link: Skylink, id: &ContentId) -> Result<Bytes, StorageError> {
        let (Some(root), Some(range)) = (link.merkle_root(), link.range()) else {
            return Err(self.refused(Problem::NotSkynet));
        };
        let base = if range.start == 0 {
            self.fetch(&format!("/skynet/basesector/{link}")).await
        } else {
            // Without the bytes before it the sector's root cannot be had.
            Err(HttpError::answer("the file is not at the start of its sector"))
        };
        if let Ok(bytes) = &base
            && is_sector(root, bytes.clone()).await?
        {
            return Ok(bytes.slice(..range.end.min(bytes.len())));
        }
        let whole = format!("/skynet/root?root={root}&offset=0&length={SECTOR_BYTES}");
        match self.fetch(&whole).await {
            Ok(bytes) if is_sector(root, bytes.clone()).await? => {
                let (start, end) = (range.start.min(bytes.len()), range.end.min(bytes.len()));
                Ok(bytes.slice(start..end))
            }
            // A portal that has given something for this part has it, and lied.
            Err(error) if base.is_err() && !matches!(error, HttpError::TooLarge { .. }) => {
                match error.status() {
                    Some(404) => Err(StorageError::NotFound(*id)),
                    _ => Err(self.error(error)),
                }
            }
            _ => Err(self.corrupt(id, Problem::OtherSector)),
        }
    }

    async fn fetch(&self, path: &str) -> Result<Bytes, HttpError> {
        let mut answer = self.http.send_ok(self.request(Method::GET, path)?, 0).await?;
        answer.read(SECTOR_BYTES).await
    }

    async fn read(&self, link: Skylink, id: &ContentId) -> Result<Bytes, StorageError> {
        let sector = self.sector(link, id).await?;
        // The bytes are those that the link names: if they are no file, they never will be one.
        let file = Skyfile::parse(&sector).map_err(|e| self.refused(e))?;
        Ok(file.data().clone())
    }

    fn link_of(&self, id: &ContentId) -> Result<Skylink, StorageError> {
        Skylink::of_content(id).ok_or_else(|| self.refused(Problem::NotSkynet))
    }

    fn error(&self, error: HttpError) -> StorageError {
        http::storage_error(BACKEND, &self.portal, error)
    }

    fn refused(&self, source: impl std::error::Error + Send + Sync + 'static) -> StorageError {
        StorageError::Refused { backend: BACKEND, source: http::at(&self.portal, source) }
    }

    fn corrupt(
        &self,
        id: &ContentId,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> StorageError {
        StorageError::Corrupt { id: *id, source: http::at(&self.portal, source) }
    }
}

impl Storage for SkynetStorage {
    async fn put(&self, data: Bytes) -> Result<ContentId, StorageError> {
        let metadata = SkyfileMetadata::of_upload(FILE_NAME, MEDIA_TYPE, MODE, data.len() as u64);
        let file = Skyfile::new(metadata, data.clone()).map_err(|e| self.refused(e))?;
        let ours = hashing(BACKEND, move || file.skylink()).await?;
        let link = self.upload(&data).await.map_err(|error| match error {
            UploadError::Http(error) => self.error(error),
            other => self.refused(other),
        })?;
        let id = link.to_content().map_err(|e| self.refused(e))?;
        if link == ours {
            return Ok(id);
        }
        // Another name, mode or media type is a portal's right, other content is not.
        let kept = self.read(link, &id).await?;
        if kept == data { Ok(id) } else { Err(self.corrupt(&id, Problem::OtherContent)) }
    }

    async fn get(&self, id: &ContentId, limit: usize) -> Result<Bytes, StorageError> {
        let data = self.read(self.link_of(id)?, id).await?;
        if data.len() > limit { Err(StorageError::TooLarge { id: *id, limit }) } else { Ok(data) }
    }

    async fn has(&self, id: &ContentId) -> Result<bool, StorageError> {
        let path = format!("/{}", self.link_of(id)?);
        let request = self.request(Method::HEAD, &path).map_err(|e| self.error(e))?;
        let answer = self.http.send(request, 0).await.map_err(|e| self.error(e))?;
        match answer.status() {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(self.error(answer.into_error().await)),
        }
    }

    async fn pin(&self, id: &ContentId) -> Result<(), StorageError> {
        let path = format!("/skynet/pin/{}", self.link_of(id)?);
        let request = self.request(Method::POST, &path).map_err(|e| self.error(e))?;
        match self.http.send_ok(request, 0).await {
            Ok(_) => Ok(()),
            Err(error) if error.status() == Some(404) => Err(StorageError::NotFound(*id)),
            Err(error) => Err(self.error(error)),
        }
    }
}

impl fmt::Debug for SkynetStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keyed = self.api_key.is_some();
        f.debug_struct("SkynetStorage")
            .field("portal", &self.portal)
            .field("api_key", &keyed)
            .finish_non_exhaustive()
    }
}

/// What a portal says about an upload.
#[derive(Deserialize)]
struct Uploaded {
    skylink: String,
    merkleroot: Option<String>,
    bitfield: Option<u16>,
}

/// Why an upload gave no link.
#[derive(Debug, thiserror::Error)]
enum UploadError {
    #[error("the portal's link, root and bit field contradict each other")]
    Contradiction,
    #[error("upload failed")]
    Http(#[from] HttpError),
    #[error("the portal's link is none")]
    Link(#[from] SkylinkError),
}

/// What cannot be done, or was done wrong.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("this key cannot stand in a header")]
    ApiKey,
    #[error("the id names no content of Skynet")]
    NotSkynet,
    #[error("the portal kept other content than it was given")]
    OtherContent,
    #[error("the bytes are not those of the sector")]
    OtherSector,
}

/// Whether these bytes, and zeros behind them, are the sector of a root.
async fn is_sector(root: MerkleRoot, bytes: Bytes) -> Result<bool, StorageError> {
    hashing(BACKEND, move || MerkleRoot::of_sector(&bytes) == root).await
}
