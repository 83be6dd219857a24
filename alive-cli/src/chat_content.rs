//! Archives in storages, in memory that does not grow with them: [`put_file`], [`Source`].

use std::{
    fs::File,
    io::{self, Read, Seek as _, Write as _},
    ops::ControlFlow,
};

use alive_core::{
    ContentId,
    backend::{SharedStorage, Storage as _},
};
use alive_storage::{
    Block, DiskStorage, GatewayStorage, KuboClient, NewBlock,
    cid::{self, Cid},
    unixfs::{self, ImportOptions},
};
use anyhow::{Context as _, anyhow, ensure};
use bytes::{Buf as _, Bytes};
use futures_util::{StreamExt as _, stream};
use tokio::{sync::mpsc, task::spawn_blocking};

use crate::storage::Ready;

/// Blocks that are made ahead of those that a node has taken.
const AHEAD: usize = 8;
/// Blocks that are given to a node at the same time.
const AT_ONCE: usize = 4;

/// Stores a file. A store of our own and IPFS nodes get it block by block; a Skynet portal takes files whole.
pub(crate) async fn put_file(storage: &Ready, file: File) -> anyhow::Result<ContentId> {
    if let Some(disk) = storage.disk.clone() {
        let root = spawn_blocking(move || disk.import(file)).await??;
        return Ok(cid::to_content(&root.cid)?);
    }
    let Some(nodes) = &storage.nodes else { return put_whole(&storage.put, file).await };
    let (mut stored, mut failed) = (Vec::new(), None);
    for node in nodes.members() {
        let mut own = file.try_clone()?;
        own.rewind()?;
        match upload(node.client(), own).await {
            Ok(root) => stored.push(root),
            Err(error) => failed = Some(error.context(node.client().node().to_string())),
        }
    }
    let root = *stored.first().filter(|_| stored.len() >= nodes.need()).ok_or_else(|| {
        failed.unwrap_or_else(|| anyhow!("{} nodes have it, {} must", stored.len(), nodes.need()))
    })?;
    Ok(cid::to_content(&root)?)
}

async fn put_whole(storage: &SharedStorage, mut file: File) -> anyhow::Result<ContentId> {
    let read = move || {
        let mut whole = Vec::new();
        file.read_to_end(&mut whole).map(|_| Bytes::from(whole))
    };
    Ok(storage.put(spawn_blocking(read).await??).await?)
}

/// Gives a file to an IPFS node block by block, and pins it.
async fn upload(node: &KuboClient, file: File) -> anyhow::Result<Cid> {
    let (made, blocks) = mpsc::channel::<(Block, u64)>(AHEAD);
    let import = spawn_blocking(move || {
        let mut sink = |new: &NewBlock<'_>| {
            let block =
                Block::check(*new.cid().hash(), new.to_bytes()).map_err(io::Error::other)?;
            let sent = made.blocking_send((block, new.cid().codec()));
            sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
        };
        unixfs::import(file, ImportOptions::default(), &mut sink)
    });
    let blocks = stream::unfold(blocks, async |mut blocks| {
        let block = blocks.recv().await?;
        Some((block, blocks))
    });
    let put = async |(block, codec): (Block, u64)| node.block_put(&block, codec).await;
    let mut puts = std::pin::pin!(blocks.map(put).buffer_unordered(AT_ONCE));
    while let Some(put) = puts.next().await {
        put?;
    }
    let root = import.await??.cid;
    node.pin_add(&root).await?;
    Ok(root)
}

/// Where archives are fetched from; nothing it says is believed unchecked.
#[derive(Debug)]
pub(crate) enum Source {
    Disk(DiskStorage),
    Gateway(GatewayStorage),
}

impl Source {
    /// Content of at most `limit` bytes. Of a gateway all of it has been checked when this returns; of a store each piece is
    /// when it is read.
    pub(crate) async fn open(
        &self,
        id: &ContentId,
        limit: u64,
    ) -> anyhow::Result<Box<dyn Read + '_>> {
        match self {
            Self::Disk(store) => {
                let size = store.open(id).await?;
                ensure!(size <= limit, "it has {size} bytes, more than --max-bytes {limit}");
                Ok(Box::new(Pieces { rest: store.pieces(id, 0..size)?, piece: Bytes::new() }))
            }
            Self::Gateway(gateway) => {
                let mut file = tempfile::tempfile().context("a temporary file")?;
                let mut failed = None;
                let take = |piece: Bytes| match file.write_all(&piece) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(error) => {
                        failed = Some(error);
                        ControlFlow::Break(())
                    }
                };
                gateway.get_pieces(id, limit, take).await?;
                if let Some(error) = failed {
                    return Err(error).context("a temporary file");
                }
                file.rewind()?;
                Ok(Box::new(file))
            }
        }
    }
}

/// Pieces as one text.
struct Pieces<I> {
    rest: I,
    piece: Bytes,
}

impl<I, E> Read for Pieces<I>
where
    I: Iterator<Item = Result<Bytes, E>>,
    E: std::error::Error + Send + Sync + 'static,
{
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.rest.next() {
                None => return Ok(0),
                Some(piece) => self.piece = piece.map_err(io::Error::other)?,
            }
        }
        let len = buffer.len().min(self.piece.len());
        let (begin, _) = buffer.split_at_mut(len);
        self.piece.copy_to_slice(begin);
        Ok(len)
    }
}
