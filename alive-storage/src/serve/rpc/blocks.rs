//! `block/get`, `block/put`, `block/stat`.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use cid::Version;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{
    Rpc,
    answer::{Params, Refusal, json, lines, refused},
};
use crate::{
    block::{Block, MAX_BLOCK_BYTES},
    cid::{self as ids, Cid, Multihash},
    serve::upload::Upload,
    store::BlockStore,
};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Stat {
    key: String,
    size: usize,
}

/// The bytes of a block.
pub(super) async fn get<S: BlockStore + 'static>(
    State(rpc): State<Arc<Rpc<S>>>,
    params: Params,
) -> Result<Response, Refusal> {
    let block = rpc.block(params.cid()?).await?;
    let headers =
        [(header::CONTENT_TYPE.as_str(), "application/vnd.ipld.raw"), ("x-stream-output", "1")];
    Ok((headers, Body::from(block.data().clone())).into_response())
}

/// The size of a block.
pub(super) async fn stat<S: BlockStore + 'static>(
    State(rpc): State<Arc<Rpc<S>>>,
    params: Params,
) -> Result<Response, Refusal> {
    let cid = params.cid()?;
    let size = rpc.block(cid).await?.data().len();
    Ok(json(&Stat { key: ids::to_text(&cid, params.base()?), size }))
}

/// Stores blocks as they are; none is looked into.
pub(super) async fn put<S: BlockStore + 'static>(
    State(rpc): State<Arc<Rpc<S>>>,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let (make, pin, base) = (Form::asked(&params)?, params.flag("pin", false)?, params.base()?);
    let _permit = rpc.upload().await?;
    let mut upload = Upload::new(&headers, body, rpc.config.upload_bytes)?;
    let mut stats = Vec::new();
    while let Some(part) = upload.next().await? {
        let data = part.whole(MAX_BLOCK_BYTES).await?;
        let size = data.len();
        let (cid, block) = make.block(data)?;
        let storage = rpc.storage.clone();
        tokio::task::spawn_blocking(move || {
            storage.store().put(&block)?;
            if pin { storage.store().pin(&cid) } else { Ok(()) }
        })
        .await??;
        stats.push(Stat { key: ids::to_text(&cid, base), size });
    }
    if stats.is_empty() { Err(Refusal::ArgumentMissing("data")) } else { Ok(lines(&stats)) }
}

/// What id a block gets.
#[derive(Clone, Copy, Debug)]
struct Form {
    version: Version,
    codec: u64,
}

impl Form {
    /// By `cid-codec`, or by the older `format` and `version`.
    fn asked(params: &Params) -> Result<Self, Refusal> {
        if let Some(other) = params.get("mhtype").filter(|hash| *hash != "sha2-256") {
            return Err(refused("mhtype", other, "sha2-256 only"));
        }
        if let Some(len) = params.number("mhlen")?.filter(|len| *len != 32) {
            return Err(refused("mhlen", &len.to_string(), "32 only"));
        }
        let older = params.get("format");
        let codec = params.get("cid-codec").or(older).unwrap_or("raw");
        let version = match (codec, params.get("version")) {
            ("v0", _) | ("protobuf", None | Some("0")) => Version::V0,
            _ => Version::V1,
        };
        let codec = match codec {
            "raw" => ids::RAW,
            "dag-pb" | "protobuf" | "v0" => ids::DAG_PB,
            "cbor" | "dag-cbor" => 0x71,
            "dag-json" => 0x0129,
            "json" => 0x0200,
            other => {
                return Err(refused("cid-codec", other, "raw, dag-pb, dag-cbor, dag-json or json"));
            }
        };
        Ok(Self { version, codec })
    }

    fn block(self, data: Bytes) -> Result<(Cid, Block), Refusal> {
        let digest = Sha256::digest(&data);
        let hash = Multihash::wrap(ids::SHA2_256, &digest).map_err(other)?;
        let block = Block::check(hash, data).map_err(other)?;
        let cid = match self.version {
            Version::V0 => Cid::new_v0(hash).map_err(other)?,
            Version::V1 => Cid::new_v1(self.codec, hash),
        };
        Ok((cid, block))
    }
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> Refusal {
    Refusal::Other(Box::new(error))
}

impl<S: BlockStore + 'static> Rpc<S> {
    /// A block that is here.
    pub(super) async fn block(&self, cid: Cid) -> Result<Block, Refusal> {
        let storage = self.storage.clone();
        let found = tokio::task::spawn_blocking(move || match Block::of_identity(cid.hash()) {
            Some(block) => Ok(Some(block)),
            None => storage.store().get(cid.hash()),
        });
        found.await??.ok_or(Refusal::BlockMissing(cid.into()))
    }

    /// Waits until there is room for one more upload.
    pub(super) async fn upload(&self) -> Result<tokio::sync::SemaphorePermit<'_>, Refusal> {
        self.uploads.acquire().await.map_err(other)
    }
}
