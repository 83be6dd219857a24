//! What a path below a CID leads to: [`resolve`].

use alive_core::backend::StorageError;
use axum::{
    http::{HeaderMap, StatusCode},
    response::Response,
};

use multibase::Base;
use percent_encoding::percent_decode_str;

use super::{absent, failure, refused};
use crate::{
    cid::{self, Cid},
    reader::{ContentReader as _, SharedContentReader},
    unixfs::Directory,
};

/// Most names of a path; each takes a block to follow.
const MAX_NAMES: usize = 64;

/// Where a path leads.
#[derive(Clone, Debug)]
pub(super) struct Resolved {
    pub(super) cid: Cid,
    /// The CIDs of the way, from the root on, as `X-Ipfs-Roots` tells them.
    pub(super) roots: String,
}

/// Why a path leads nowhere.
#[derive(Debug)]
pub(super) enum Lost {
    Failed(StorageError),
    NoSuchName,
    NotUtf8,
}

impl Lost {
    pub(super) fn into_response(self, asked: &HeaderMap) -> Response {
        match self {
            Self::Failed(why) => failure(&why, asked),
            Self::NoSuchName => absent(asked),
            Self::NotUtf8 => refused(StatusCode::BAD_REQUEST, "the path is not UTF-8"),
        }
    }
}

/// Follows a path, which is as it stands in the request, name by name.
pub(super) async fn resolve(
    content: &SharedContentReader,
    root: Cid,
    path: &str,
) -> Result<Resolved, Lost> {
    if path.split('/').filter(|name| !name.is_empty()).count() > MAX_NAMES {
        return Err(Lost::NoSuchName);
    }
    let path = percent_decode_str(path).decode_utf8().map_err(|_| Lost::NotUtf8)?;
    let mut cid = root;
    let mut roots = cid::to_text(&cid, Base::Base32Lower);
    for name in path.split('/').filter(|name| !name.is_empty()) {
        let block = content.block(&cid).await.map_err(Lost::Failed)?.ok_or(Lost::NoSuchName)?;
        let entry = Directory::decode(&block).ok().and_then(|found| found.find(name).copied());
        cid = entry.ok_or(Lost::NoSuchName)?.cid;
        roots.push(',');
        roots.push_str(&cid::to_text(&cid, Base::Base32Lower));
    }
    Ok(Resolved { cid, roots })
}
