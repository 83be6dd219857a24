//! `cat`: the bytes of a file.

use std::{io, ops::Range, sync::Arc};

use axum::{
    body::Body,
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use tokio::sync::mpsc;

use super::{
    Rpc,
    answer::{Params, Refusal},
};
use crate::{
    cid::Cid,
    storage::BlockStorage,
    store::BlockStore,
    unixfs::{FileReader, FileWalk, ReadError},
};

/// Pieces read ahead of the client; each is a block at most.
const AHEAD: usize = 4;

/// A file or a part of it. The first piece is read before the answer begins, so that a file that is not here is an error
/// with a status; what turns out damaged later breaks the connection off.
pub(super) async fn cat<S: BlockStore + 'static>(
    State(rpc): State<Arc<Rpc<S>>>,
    params: Params,
) -> Result<Response, Refusal> {
    let start = params.number("offset")?.unwrap_or(0);
    let end = start.saturating_add(params.number("length")?.unwrap_or(u64::MAX));
    let body = file(rpc.storage.clone(), params.cid()?, start..end).await?;
    let headers = [(header::CONTENT_TYPE.as_str(), "text/plain"), ("x-stream-output", "1")];
    Ok((headers, body).into_response())
}

/// Reads on a thread of its own, as fast as the client takes it.
async fn file<S: BlockStore + 'static>(
    storage: BlockStorage<S>,
    root: Cid,
    range: Range<u64>,
) -> Result<Body, Refusal> {
    let (sender, mut pieces) = mpsc::channel::<Result<Bytes, ReadError>>(AHEAD);
    tokio::task::spawn_blocking(move || {
        for piece in FileReader::new(storage.store(), FileWalk::range(root, range)) {
            let failed = piece.is_err();
            if sender.blocking_send(piece).is_err() || failed {
                return;
            }
        }
    });
    let first = match pieces.recv().await {
        None => Bytes::new(),
        Some(Ok(first)) => first,
        Some(Err(ReadError::Missing(cid))) => return Err(Refusal::BlockMissing(cid)),
        Some(Err(error)) => return Err(error.into()),
    };
    let rest = stream::unfold(pieces, |mut pieces| async move {
        let piece = pieces.recv().await?;
        Some((piece.map_err(io::Error::other), pieces))
    });
    Ok(Body::from_stream(stream::iter([Ok(first)]).chain(rest)))
}
