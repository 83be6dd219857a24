//! The calls of Kubo's RPC that are used: [`KuboClient`].

use std::{fmt, time::Duration};

use alive_core::{Excerpt, GatewayUrl};
use bytes::Bytes;
use reqwest::{
    Method, RequestBuilder, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};

use super::answer::{self, Added, Imported, Keyed, Pins, Refusal};
use crate::{
    block::{Block, BlockError, MAX_BLOCK_BYTES},
    cid::{self, Cid, CidError, Version},
    http::{
        self, Answer, Http, HttpError, HttpOptions,
        multipart::{Field, Form},
    },
    unixfs::ImportOptions,
};

/// Longest answer that is no content, in bytes.
const MAX_ANSWER: usize = 1 << 20;
/// How long a node looks for a block, or for content to pin, before it says that there is none. A node that is offline may
/// never say so by itself.
const LOOKUP: Duration = Duration::from_secs(10);

/// A client of one node's RPC. Every id that the node returns is compared with ours, every block that it gives is checked.
///
/// ```
/// use alive_storage::{HttpOptions, KuboClient};
/// let node = KuboClient::new("http://127.0.0.1:5001".parse()?, &HttpOptions::default())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct KuboClient {
    node: GatewayUrl,
    http: Http,
    authorization: Option<HeaderValue>,
    lookup: Duration,
}

impl KuboClient {
    /// A client of the node at this address, such as `http://127.0.0.1:5001`.
    ///
    /// # Errors
    /// The HTTP client cannot be made.
    pub fn new(node: GatewayUrl, options: &HttpOptions) -> Result<Self, HttpError> {
        Ok(Self { node, http: Http::new(options)?, authorization: None, lookup: LOOKUP })
    }

    /// Sends an `Authorization` header with every request. It is never printed.
    #[must_use]
    pub fn with_authorization(self, mut value: HeaderValue) -> Self {
        value.set_sensitive(true);
        Self { authorization: Some(value), ..self }
    }

    /// Lets the node look for a block, or for what to pin, for another time than 10 seconds, in whole milliseconds.
    #[must_use]
    pub fn with_lookup(self, lookup: Duration) -> Self {
        Self { lookup, ..self }
    }

    /// Its address.
    pub fn node(&self) -> &GatewayUrl {
        &self.node
    }

    /// The version that the node says it has.
    ///
    /// # Errors
    /// The node did not answer.
    pub async fn version(&self) -> Result<String, KuboError> {
        let mut answer = self.call("version", &[], None).await?;
        let said: answer::NodeVersion = answer.json(MAX_ANSWER).await?;
        Ok(said.version)
    }

    /// Adds a file and returns the id that the node gave it, which the caller compares with its own.
    ///
    /// # Errors
    /// The node did not add it, or its answer broke off.
    pub async fn add(
        &self,
        data: &[u8],
        options: ImportOptions,
        pin: bool,
    ) -> Result<Cid, KuboError> {
        let version = match options.cid_version() {
            Version::V0 => "0",
            Version::V1 => "1",
        };
        let chunker = format!("size-{}", options.chunk_size());
        let links = options.max_links().to_string();
        let mut query = vec![
            ("cid-version", version),
            ("raw-leaves", flag(options.raw_leaves())),
            ("chunker", &chunker),
            ("max-file-links", &links),
            ("hash", "sha2-256"),
            ("pin", flag(pin)),
            ("progress", "false"),
            ("wrap-with-directory", "false"),
        ];
        if options.cid_version() == Version::V1 {
            query.push(("cid-base", "base32"));
        }
        let mut answer = self.call("add", &query, Some(file("file", data)?)).await?;
        let records: Vec<Added> = self.records(&mut answer).await?;
        let last = records.last().and_then(|added| added.hash.as_deref());
        Ok(cid::parse(last.ok_or(KuboError::BrokenOff)?)?)
    }

    /// A block, checked. `offline` asks for what the node holds itself.
    ///
    /// # Errors
    /// [`KuboError::NotFound`] if the node does not have or find it, [`KuboError::Block`] if it gave other bytes.
    pub async fn block_get(&self, cid: &Cid, offline: bool) -> Result<Block, KuboError> {
        let answer = self.lookup("block/get", cid, &[("offline", flag(offline))]).await;
        let body = self.body(&mut answer?, MAX_BLOCK_BYTES).await;
        match body {
            Ok(data) => Ok(Block::check(*cid.hash(), data)?),
            Err(KuboError::Http(HttpError::TooLarge { limit })) => {
                Err(BlockError::TooLarge(limit + 1).into())
            }
            Err(error) => Err(error),
        }
    }

    /// Size of a block in bytes, by the node's word. `offline` asks for what the node holds itself.
    ///
    /// # Errors
    /// As [`block_get`](Self::block_get).
    pub async fn block_stat(&self, cid: &Cid, offline: bool) -> Result<u64, KuboError> {
        let answer = self.lookup("block/stat", cid, &[("offline", flag(offline))]).await;
        let said: Keyed = answer?.json(MAX_ANSWER).await?;
        same(cid, &said.key)?;
        Ok(said.size.0)
    }

    /// Stores a block of a codec.
    ///
    /// # Errors
    /// The node did not store it, or under another id.
    pub async fn block_put(&self, block: &Block, codec: u64) -> Result<Cid, KuboError> {
        let ours = Cid::new_v1(codec, *block.hash());
        // Older nodes ignore `cid-codec`, put dag-pb by default and know raw blocks by the second spelling; Kubo refuses
        // both spellings together for all but raw blocks.
        let codec: &[_] = match codec {
            cid::DAG_PB => &[("cid-codec", "dag-pb")],
            cid::RAW => &[("cid-codec", "raw"), ("format", "raw"), ("version", "1")],
            other => return Err(KuboError::Codec(other)),
        };
        let common = [("mhtype", "sha2-256"), ("pin", "false"), ("cid-base", "base32")];
        let query = [codec, &common].concat();
        let form = file("data", block.data())?;
        let mut answer = self.call("block/put", &query, Some(form)).await?;
        let said: Keyed = answer.json(MAX_ANSWER).await?;
        same(&ours, &said.key)?;
        Ok(ours)
    }

    /// Stores all blocks of a CAR and pins its roots; returns those, as the node read them.
    ///
    /// # Errors
    /// The node did not take it, or did not pin a root.
    pub async fn dag_import(&self, car: &[u8]) -> Result<Vec<Cid>, KuboError> {
        let query = [("pin-roots", "true"), ("cid-base", "base32")];
        let mut answer = self.call("dag/import", &query, Some(file("file", car)?)).await?;
        let records: Vec<Imported> = self.records(&mut answer).await?;
        let mut roots = Vec::new();
        for root in records.into_iter().filter_map(|record| record.root) {
            match root.pin_error {
                Some(error) if !error.is_empty() => {
                    return Err(KuboError::NotPinned(Excerpt::of(&error)));
                }
                _ => roots.push(cid::parse(&root.cid.link)?),
            }
        }
        if roots.is_empty() { Err(KuboError::BrokenOff) } else { Ok(roots) }
    }

    /// Keeps all that is below a root, which the node looks for if it does not hold it.
    ///
    /// # Errors
    /// [`KuboError::NotFound`] if the node does not find all of it.
    pub async fn pin_add(&self, root: &Cid) -> Result<(), KuboError> {
        let mut answer = self.lookup("pin/add", root, &[("recursive", "true")]).await?;
        let said: Pins = answer.json(MAX_ANSWER).await?;
        let ours = said.pins.iter().any(|pin| same(root, pin).is_ok());
        if ours { Ok(()) } else { Err(KuboError::BrokenOff) }
    }

    /// Lets go of what is below a root. It is no error if it was not pinned.
    ///
    /// # Errors
    /// The node did not do it.
    pub async fn pin_rm(&self, root: &Cid) -> Result<(), KuboError> {
        match self.lookup("pin/rm", root, &[("recursive", "true")]).await {
            Ok(_) | Err(KuboError::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether a root is pinned with all that is below it.
    ///
    /// # Errors
    /// The node did not answer.
    pub async fn is_pinned(&self, root: &Cid) -> Result<bool, KuboError> {
        match self.lookup("pin/ls", root, &[("type", "recursive")]).await {
            Ok(mut answer) => {
                let said: answer::Listed = answer.json(MAX_ANSWER).await?;
                let recursive = said.keys.iter().filter(|(_, pin)| pin.kind == "recursive");
                Ok(recursive.map(|(key, _)| same(root, key)).any(|found| found.is_ok()))
            }
            Err(KuboError::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A call about one id that may make the node look for it.
    async fn lookup(
        &self,
        command: &str,
        cid: &Cid,
        more: &[(&str, &str)],
    ) -> Result<Answer, KuboError> {
        let (arg, time) = (cid.to_string(), format!("{}ms", self.lookup.as_millis()));
        let mut query = vec![("arg", arg.as_str()), ("timeout", &time)];
        query.extend_from_slice(more);
        self.call(command, &query, None).await
    }

    async fn call(
        &self,
        command: &str,
        query: &[(&str, &str)],
        form: Option<Form>,
    ) -> Result<Answer, KuboError> {
        let mut url = http::url_of(&self.node, &format!("/api/v0/{command}"))?;
        append(&mut url, query);
        let mut request = self.http.request(Method::POST, url)?;
        if let Some(value) = &self.authorization {
            request = request.header(AUTHORIZATION, value.clone());
        }
        let answer = self.send(request, form).await?;
        if answer.status().is_success() { Ok(answer) } else { Err(refusal(answer).await) }
    }

    async fn send(&self, request: RequestBuilder, form: Option<Form>) -> Result<Answer, HttpError> {
        let Some(form) = form else { return self.http.send(request, 0).await };
        let len = form.body.len();
        let request = request.header(CONTENT_TYPE, form.content_type).body(form.body);
        self.http.send(request, len).await
    }

    /// A body that came whole: errors of a node that had begun to answer stand behind it.
    async fn body(&self, answer: &mut Answer, limit: usize) -> Result<Bytes, KuboError> {
        let body = answer.read(limit).await?;
        match answer.trailer("x-stream-error") {
            Some(error) => Err(classify(500, error)),
            None => Ok(body),
        }
    }

    async fn records<T: serde::de::DeserializeOwned>(
        &self,
        answer: &mut Answer,
    ) -> Result<Vec<T>, KuboError> {
        let body = self.body(answer, MAX_ANSWER).await?;
        answer::records(&body).map_err(|error| HttpError::answer(error.to_string()).into())
    }
}

impl fmt::Debug for KuboClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KuboClient").field("node", &self.node).finish_non_exhaustive()
    }
}

/// Why a node did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KuboError {
    /// It gave other bytes than those of the block.
    #[error("the node gave something else than the block")]
    Block(#[from] BlockError),
    /// Its answer ended before its last record.
    #[error("the answer of the node broke off")]
    BrokenOff,
    /// It returned something that is no CID.
    #[error("the node returned no cid")]
    Cid(#[from] CidError),
    /// Blocks of this codec are not put.
    #[error("blocks of codec {0:#x} are not put on nodes")]
    Codec(u64),
    /// It did not answer as agreed.
    #[error("the node did not answer as agreed")]
    Http(#[from] HttpError),
    /// It does not have it, or did not find it in time.
    #[error("the node did not find it")]
    NotFound,
    /// It took a CAR, but did not pin its root.
    #[error("the node did not pin the root: {0}")]
    NotPinned(Excerpt),
    /// It gave the content another id than ours.
    #[error("the node says {theirs}, the content has {ours}")]
    OtherId {
        /// Our id.
        ours: Box<Cid>,
        /// Its id.
        theirs: Box<Cid>,
    },
}

impl KuboError {
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Http(error) => error.is_transient(),
            Self::Block(_) | Self::BrokenOff | Self::NotFound | Self::NotPinned(_) => true,
            Self::Cid(_) | Self::Codec(_) | Self::OtherId { .. } => false,
        }
    }
}

fn flag(on: bool) -> &'static str {
    if on { "true" } else { "false" }
}

fn file<'a>(name: &'static str, data: &'a [u8]) -> Result<Form, HttpError> {
    let field: Field<'a> =
        Field::File { name, file: name, media_type: "application/octet-stream", data };
    Form::new(&[field])
}

fn append(url: &mut Url, query: &[(&str, &str)]) {
    let mut pairs = url.query_pairs_mut();
    for (name, value) in query {
        pairs.append_pair(name, value);
    }
}

/// Two ids address the same block if their multihashes are equal; the codec may be called another name by older nodes.
fn same(ours: &Cid, theirs: &str) -> Result<(), KuboError> {
    let theirs = cid::parse(theirs)?;
    if theirs.hash() == ours.hash() {
        return Ok(());
    }
    Err(KuboError::OtherId { ours: (*ours).into(), theirs: theirs.into() })
}

async fn refusal(mut answer: Answer) -> KuboError {
    let status = answer.status().as_u16();
    let text = answer.error_text().await;
    match serde_json::from_str::<Refusal>(&text) {
        Ok(said) => classify(status, &said.message),
        Err(_) => classify(status, text.trim()),
    }
}

/// What an error of a node means. Nodes have one status and no codes for it, only texts.
fn classify(status: u16, message: &str) -> KuboError {
    const ABSENT: [&str; 8] = [
        "not found",
        "not pinned",
        "could not find",
        "no link named",
        "context deadline exceeded",
        "request timed out",
        "block was not found",
        "timeouterror",
    ];
    let lower = message.to_ascii_lowercase();
    if matches!(status, 404 | 408 | 500 | 504) && ABSENT.iter().any(|text| lower.contains(text)) {
        return KuboError::NotFound;
    }
    HttpError::Status { status, message: Excerpt::of(message), retry_after: None }.into()
}
