//! `dag/export` and `dag/import`: archives of blocks.

use std::{
    io::{self, Seek as _, Write},
    sync::Arc,
};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use serde_json::json;
use tokio::{io::AsyncWriteExt as _, sync::mpsc};

use super::{
    Rpc,
    answer::{Params, Refusal, lines},
};
use crate::{
    car::{CarError, CarPolicy, CarReader, ImportCarError, export_car, import_car},
    cid::{self as ids, Cid},
    serve::upload::{Part, Upload},
    storage::BlockStorage,
    store::BlockStore,
};

/// Bytes that are sent at once.
const PIECE: usize = 64 << 10;
/// Pieces written ahead of the client.
const AHEAD: usize = 4;

/// All blocks below a root as an archive. What turns out missing or damaged on the way breaks the connection off.
pub(super) async fn export<S: BlockStore + 'static>(
    State(rpc): State<Arc<Rpc<S>>>,
    params: Params,
) -> Result<Response, Refusal> {
    let root = params.cid()?;
    rpc.block(root).await?;
    let (sender, pieces) = mpsc::channel(AHEAD);
    let storage = rpc.storage.clone();
    tokio::task::spawn_blocking(move || {
        let writer = io::BufWriter::with_capacity(PIECE, PieceWriter(sender.clone()));
        if let Err(error) = export_car(storage.store(), &[root], writer) {
            // The client may have gone, then nobody is told.
            let _ = sender.blocking_send(Err(io::Error::other(error)));
        }
    });
    let pieces = stream::unfold(pieces, |mut pieces| async move {
        pieces.recv().await.map(|piece| (piece, pieces))
    });
    let headers =
        [(header::CONTENT_TYPE.as_str(), "application/vnd.ipld.car"), ("x-stream-output", "1")];
    Ok((headers, Body::from_stream(pieces.boxed())).into_response())
}

/// A channel as a writer, for a thread that may block.
struct PieceWriter(mpsc::Sender<io::Result<Bytes>>);

impl Write for PieceWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes))).map_err(gone)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Stores what lies below the roots of archives. An archive counts as a whole or not at all; blocks in it that belong to
/// no root are not kept.
pub(super) async fn import<S: BlockStore + 'static>(
    State(rpc): State<Arc<Rpc<S>>>,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let (pin, stats) = (params.flag("pin-roots", true)?, params.flag("stats", false)?);
    let base = params.base()?;
    let _permit = rpc.upload().await?;
    let mut upload = Upload::new(&headers, body, rpc.config.upload_bytes)?;
    let mut records = Vec::new();
    let (mut blocks, mut bytes, mut archives) = (0, 0, 0_u32);
    while let Some(part) = upload.next().await? {
        let archive = spool(part).await?;
        let (storage, limit) = (rpc.storage.clone(), rpc.config.upload_bytes);
        let work = move || store(archive, &storage, pin, limit);
        let stored = tokio::task::spawn_blocking(work).await??;
        archives += 1;
        blocks += stored.blocks;
        bytes += stored.bytes;
        let root = |root: &Cid| json!({ "Root": { "Cid": { "/": ids::to_text(root, base) }, "PinErrorMsg": "" } });
        records.extend(stored.roots.iter().filter(|_| pin).map(root));
    }
    if archives == 0 {
        return Err(Refusal::ArgumentMissing("path"));
    }
    if stats {
        records.push(json!({ "Stats": { "BlockCount": blocks, "BlockBytesCount": bytes } }));
    }
    Ok(lines(&records))
}

/// An archive that has been stored.
struct Stored {
    roots: Vec<Cid>,
    blocks: u64,
    bytes: u64,
}

/// Writes a part to a file without a name: an archive is read twice, so that nothing of a bad one is kept.
async fn spool(mut part: Part) -> Result<std::fs::File, Refusal> {
    let failed = |error: io::Error| Refusal::Other(Box::new(error));
    let file = tokio::task::spawn_blocking(tempfile::tempfile).await?.map_err(failed)?;
    let mut file = tokio::fs::File::from_std(file);
    while let Some(piece) = part.next().await? {
        file.write_all(&piece).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)?;
    Ok(file.into_std().await)
}

fn store<S: BlockStore + 'static>(
    mut archive: std::fs::File,
    storage: &BlockStorage<S>,
    pin: bool,
    limit_bytes: u64,
) -> Result<Stored, Refusal> {
    let bytes = archive.stream_position().map_err(CarError::Io)?;
    archive.rewind().map_err(CarError::Io)?;
    let roots = CarReader::new(&mut archive, limit_bytes)?.header().roots().to_vec();
    if roots.is_empty() {
        return Err(Refusal::Other("the archive lists no roots".into()));
    }
    archive.rewind().map_err(CarError::Io)?;
    let policy = CarPolicy::exchange(limit_bytes).with_directories(true);
    let reader = io::BufReader::with_capacity(PIECE, archive);
    let summary = import_car(reader, storage.store(), &roots, policy)?;
    if pin {
        roots.iter().try_for_each(|root| storage.store().pin(root))?;
    }
    Ok(Stored { roots, blocks: summary.blocks, bytes })
}

impl From<CarError> for Refusal {
    fn from(error: CarError) -> Self {
        Self::Archive(ImportCarError::Car(error))
    }
}
