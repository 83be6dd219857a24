//! Files on a node that speaks Kubo's RPC: [`KuboStorage`].
//!
//! Source: `spec/storage.md`, section 5.

mod answer;
mod client;

use alive_core::{
    ContentId, GatewayUrl,
    backend::{Storage, StorageError},
};
use bytes::Bytes;
use reqwest::header::{HeaderValue, InvalidHeaderValue};

pub use self::client::{KuboClient, KuboError};
use crate::{
    block::Block,
    cid::{self, Cid},
    fetch::{self, BlockSource, FetchError},
    http::{self, HttpOptions, hashing},
    proof::cid_of,
    unixfs::{FileWalk, ImportOptions, ReadError, Step},
};

/// What errors of this backend call it.
const BACKEND: &str = "kubo node";

/// Keeps files on one IPFS node through Kubo's RPC; several nodes together are a
/// [`Quorum`](crate::adapters::Quorum) of these.
///
/// The id of what is stored is computed here first, and an answer with another id is an error that names the node. What is
/// read comes block by block, each checked. `has` asks for what the node holds itself, not for what it could find.
///
/// ```
/// use alive_storage::{HttpOptions, KuboStorage};
/// let node = KuboStorage::new("http://127.0.0.1:5001".parse()?, &HttpOptions::default())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct KuboStorage {
    client: KuboClient,
    options: ImportOptions,
    pin: bool,
}

impl KuboStorage {
    /// Files on this node, added as `ipfs add` does and pinned.
    ///
    /// # Errors
    /// The HTTP client cannot be made.
    pub fn new(node: GatewayUrl, options: &HttpOptions) -> Result<Self, StorageError> {
        let at = node.clone();
        let client = KuboClient::new(node, options);
        Ok(Self::of(client.map_err(|error| http::storage_error(BACKEND, &at, error))?))
    }

    /// Files on the node of a client.
    pub fn of(client: KuboClient) -> Self {
        Self { client, options: ImportOptions::default(), pin: true }
    }

    /// Sends an `Authorization` header with every request. It is never printed.
    ///
    /// # Errors
    /// It cannot stand in a header.
    pub fn with_authorization(self, value: &str) -> Result<Self, InvalidHeaderValue> {
        let value = HeaderValue::from_str(value)?;
        Ok(Self { client: self.client.with_authorization(value), ..self })
    }

    /// Cuts files in another way from now on.
    #[must_use]
    pub fn with_options(self, options: impl Into<ImportOptions>) -> Self {
        Self { options: options.into(), ..self }
    }

    /// Whether what is stored is pinned at once. It is by default.
    #[must_use]
    pub fn with_pin(self, pin: bool) -> Self {
        Self { pin, ..self }
    }

    /// The client, for what is more than storing files.
    pub fn client(&self) -> &KuboClient {
        &self.client
    }

    fn root_of(&self, id: &ContentId) -> Result<Cid, StorageError> {
        cid::of_content(id).ok_or_else(|| StorageError::Refused {
            backend: BACKEND,
            source: http::at(self.client.node(), NotIpfs),
        })
    }

    fn error(&self, id: Option<&ContentId>, error: KuboError) -> StorageError {
        let node = self.client.node();
        match (error, id) {
            (KuboError::Http(error), _) => http::storage_error(BACKEND, node, error),
            (KuboError::NotFound, Some(id)) => StorageError::NotFound(*id),
            (error @ KuboError::Block(_), Some(id)) => {
                StorageError::Corrupt { id: *id, source: http::at(node, error) }
            }
            (error, _) if error.is_transient() => {
                StorageError::Unavailable { backend: BACKEND, source: http::at(node, error) }
            }
            (error, _) => StorageError::Refused { backend: BACKEND, source: http::at(node, error) },
        }
    }

    fn tree_error(&self, id: &ContentId, limit: usize, error: ReadError) -> StorageError {
        match error {
            ReadError::TooLarge { .. } => StorageError::TooLarge { id: *id, limit },
            ReadError::Missing(_) => StorageError::NotFound(*id),
            other => StorageError::Refused {
                backend: BACKEND,
                source: http::at(self.client.node(), other),
            },
        }
    }

    /// Whether the node holds every block below a root.
    async fn holds_tree(&self, root: Cid) -> Result<bool, HasError> {
        let mut walk = FileWalk::whole(root, u64::MAX);
        loop {
            let cid = match walk.poll()? {
                Step::Block(cid) => cid,
                Step::Data(_) => continue,
                Step::Done => return Ok(true),
            };
            let found = if cid.codec() == cid::RAW {
                self.client.block_stat(&cid, true).await.map(|_| None)
            } else {
                self.client.block_get(&cid, true).await.map(Some)
            };
            match found {
                Ok(Some(block)) => walk.supply(&block)?,
                Ok(None) => walk.skip()?,
                Err(KuboError::NotFound | KuboError::Block(_)) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Storage for KuboStorage {
    async fn put(&self, data: Bytes) -> Result<ContentId, StorageError> {
        let (options, content) = (self.options, data.clone());
        let ours = hashing(BACKEND, move || cid_of(&content, options)).await?;
        let id = cid::to_content(&ours).map_err(|source| StorageError::Refused {
            backend: BACKEND,
            source: http::at(self.client.node(), source),
        })?;
        let added = self.client.add(&data, self.options, self.pin).await;
        let added = added.map_err(|error| self.error(Some(&id), error))?;
        if added == ours {
            return Ok(id);
        }
        let other = KuboError::OtherId { ours: ours.into(), theirs: added.into() };
        Err(self.error(Some(&id), other))
    }

    async fn get(&self, id: &ContentId, limit: usize) -> Result<Bytes, StorageError> {
        let read = fetch::read_file(&self.client, self.root_of(id)?, limit, []).await;
        read.map_err(|error| match error {
            FetchError::Block(error) => self.error(Some(id), error),
            FetchError::Tree(error) => self.tree_error(id, limit, error),
        })
    }

    async fn has(&self, id: &ContentId) -> Result<bool, StorageError> {
        let root = self.root_of(id)?;
        let pinned = self.client.is_pinned(&root).await;
        if pinned.map_err(|error| self.error(Some(id), error))? {
            return Ok(true);
        }
        self.holds_tree(root).await.map_err(|error| match error {
            HasError::Node(error) => self.error(Some(id), error),
            HasError::Tree(error) => self.tree_error(id, usize::MAX, error),
        })
    }

    async fn pin(&self, id: &ContentId) -> Result<(), StorageError> {
        let root = self.root_of(id)?;
        self.client.pin_add(&root).await.map_err(|error| self.error(Some(id), error))
    }
}

impl BlockSource for KuboClient {
    type Error = KuboError;

    async fn block(&self, cid: &Cid) -> Result<Block, KuboError> {
        self.block_get(cid, false).await
    }
}

/// Why it cannot be said whether a node holds a file.
#[derive(Debug, thiserror::Error)]
enum HasError {
    #[error("the node did not answer")]
    Node(#[from] KuboError),
    #[error("the blocks are no file")]
    Tree(#[from] ReadError),
}

/// The id is a Skylink.
#[derive(Debug, thiserror::Error)]
#[error("content of Skynet is not kept on IPFS")]
struct NotIpfs;
