//! Content behind an HTTP gateway: [`GatewayStorage`], read-only, every byte checked.

use std::{io, time::Duration};

use alive_core::{
    ContentId, GatewayUrl,
    backend::{Storage, StorageError},
};
use bytes::{Bytes, BytesMut};
use reqwest::{Client, Method, Response, StatusCode};

use crate::{
    cid::{self, Cid},
    unixfs::{self, ImportOptions, Profile},
};

/// What errors of this backend call it.
const BACKEND: &str = "gateway";
/// How long a gateway may take for one answer unless set otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(20);

/// Reads content from a gateway that nobody needs to trust.
///
/// A plain answer proves itself by being imported again: it is believed only if one of the profiles of `ipfs add` gives
/// the asked id. The body is read up to the caller's limit and no further. Nothing can be stored through it.
///
/// ```
/// use alive_storage::GatewayStorage;
/// let gateway = GatewayStorage::new("https://ipfs.example".parse()?)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct GatewayStorage {
    base: GatewayUrl,
    client: Client,
}

impl GatewayStorage {
    /// A reader of this gateway.
    ///
    /// # Errors
    /// The HTTP client cannot be made.
    pub fn new(base: GatewayUrl) -> Result<Self, StorageError> {
        Self::with_timeout(base, DEFAULT_TIMEOUT)
    }

    /// A reader that gives up on an answer after `timeout`.
    ///
    /// # Errors
    /// The HTTP client cannot be made.
    pub fn with_timeout(base: GatewayUrl, timeout: Duration) -> Result<Self, StorageError> {
        let client = Client::builder().timeout(timeout).build().map_err(unavailable)?;
        Ok(Self { base, client })
    }

    async fn ask(&self, method: Method, id: &ContentId) -> Result<Response, StorageError> {
        if cid::of_content(id).is_none() {
            return Err(refused(GatewayProblem::NotIpfs));
        }
        let url = format!("{}/ipfs/{id}", self.base.base());
        let answer = self.client.request(method, url).send().await.map_err(unavailable)?;
        match answer.status() {
            StatusCode::OK => Ok(answer),
            StatusCode::NOT_FOUND | StatusCode::GONE => Err(StorageError::NotFound(*id)),
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                Err(unavailable(GatewayProblem::Status(status)))
            }
            status => Err(refused(GatewayProblem::Status(status))),
        }
    }
}

impl Storage for GatewayStorage {
    async fn put(&self, _data: Bytes) -> Result<ContentId, StorageError> {
        Err(refused(GatewayProblem::ReadOnly))
    }

    async fn get(&self, id: &ContentId, limit: usize) -> Result<Bytes, StorageError> {
        let root = cid::of_content(id).ok_or_else(|| refused(GatewayProblem::NotIpfs))?;
        let answer = self.ask(Method::GET, id).await?;
        let body = read_body(answer, id, limit).await?;
        // Hashing a segment of some megabytes would hold up other tasks.
        let check = tokio::task::spawn_blocking(move || is_content(&root, &body).then_some(body));
        let source = || GatewayProblem::OtherBytes.into();
        check
            .await
            .map_err(unavailable)?
            .ok_or_else(|| StorageError::Corrupt { id: *id, source: source() })
    }

    async fn has(&self, id: &ContentId) -> Result<bool, StorageError> {
        match self.ask(Method::HEAD, id).await {
            Ok(_) => Ok(true),
            Err(StorageError::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn pin(&self, _id: &ContentId) -> Result<(), StorageError> {
        Err(refused(GatewayProblem::ReadOnly))
    }
}

async fn read_body(
    mut answer: Response,
    id: &ContentId,
    limit: usize,
) -> Result<Bytes, StorageError> {
    let mut body = BytesMut::new();
    while let Some(piece) = answer.chunk().await.map_err(unavailable)? {
        if piece.len() > limit - body.len() {
            return Err(StorageError::TooLarge { id: *id, limit });
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}

/// Whether importing the bytes by some profile gives the id.
fn is_content(root: &Cid, body: &[u8]) -> bool {
    [Profile::UnixfsV02015, Profile::CidV1256k, Profile::UnixfsV12025].into_iter().any(|profile| {
        let options = ImportOptions::from(profile);
        let imported = unixfs::import::<io::Error>(body, options, &mut |_| Ok(()));
        imported.is_ok_and(|imported| imported.cid == *root)
    })
}

/// What a gateway did not do.
#[derive(Debug, thiserror::Error)]
enum GatewayProblem {
    #[error("content of Skynet is not read through an IPFS gateway")]
    NotIpfs,
    #[error("the answer is not the content of the id under any known profile")]
    OtherBytes,
    #[error("a gateway is only read from")]
    ReadOnly,
    #[error("the gateway answered {0}")]
    Status(StatusCode),
}

fn refused(source: impl std::error::Error + Send + Sync + 'static) -> StorageError {
    StorageError::Refused { backend: BACKEND, source: source.into() }
}

fn unavailable(source: impl std::error::Error + Send + Sync + 'static) -> StorageError {
    StorageError::Unavailable { backend: BACKEND, source: source.into() }
}

#[cfg(test)]
mod tests;
