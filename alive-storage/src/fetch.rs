//! Reading a file whose blocks lie elsewhere: some blocks ahead, at the same time, each checked when it comes.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    future::Future,
    ops::ControlFlow,
};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, stream::FuturesUnordered};

use crate::{
    block::Block,
    cid::{self, Cid, Multihash},
    unixfs::{FileWalk, LinkCursor, Node, ReadError, Step},
};

/// Blocks that are asked for at the same time: enough to fill a line of 100 ms with 256 KiB blocks at 160 Mbit/s, and at
/// most 16 MiB in memory.
const AHEAD: usize = 8;

/// Where blocks come from. What it gives is the block that was asked for: [`Block`] cannot be made otherwise.
pub(crate) trait BlockSource: Sync {
    type Error;

    fn block(&self, cid: &Cid) -> impl Future<Output = Result<Block, Self::Error>> + Send;
}

/// Why a file was not read.
#[derive(Debug)]
pub(crate) enum FetchError<E> {
    /// A block could not be had.
    Block(E),
    /// The blocks are no file, or a larger one than wanted.
    Tree(ReadError),
}

/// Reads a file of at most `limit` bytes. `known` are blocks that are there already.
pub(crate) async fn read_file<S: BlockSource>(
    source: &S,
    root: Cid,
    limit: usize,
    known: impl IntoIterator<Item = Block>,
) -> Result<Bytes, FetchError<S::Error>> {
    let mut content = Vec::new();
    let take = |data| {
        content.push(data);
        ControlFlow::Continue(())
    };
    read_pieces(source, root, limit as u64, known, take).await?;
    Ok(join(content))
}

/// Reads a file of at most `limit` bytes piece by piece, each checked before it is handed on, until `take` has enough.
pub(crate) async fn read_pieces<S: BlockSource>(
    source: &S,
    root: Cid,
    limit: u64,
    known: impl IntoIterator<Item = Block>,
    mut take: impl FnMut(Bytes) -> ControlFlow<()>,
) -> Result<(), FetchError<S::Error>> {
    let mut walk = FileWalk::whole(root, limit);
    let mut ahead = Ahead::default();
    ahead.plan([root]);
    for block in known {
        ahead.ready.insert(*block.hash(), Ok(block));
    }
    let mut running = FuturesUnordered::new();
    loop {
        let wanted = match walk.poll().map_err(FetchError::Tree)? {
            Step::Block(cid) => cid,
            Step::Data(data) => {
                if take(data).is_break() {
                    return Ok(());
                }
                continue;
            }
            Step::Done => return Ok(()),
        };
        let block = loop {
            while let Some(next) = ahead.next(&wanted, running.len()) {
                running.push(async move { (*next.hash(), source.block(&next).await) });
            }
            if let Some(block) = ahead.take(wanted.hash()) {
                break block.map_err(FetchError::Block)?;
            }
            match running.next().await {
                Some((hash, block)) => ahead.came(hash, block),
                // Not possible: what is wanted and not ready was started above.
                None => return Err(FetchError::Tree(ReadError::Missing(wanted.into()))),
            }
        };
        walk.supply(&block).map_err(FetchError::Tree)?;
        if wanted.codec() == cid::DAG_PB {
            ahead.plan(children(&block));
        }
    }
}

/// Blocks that will be wanted, in the order in which they will.
struct Ahead<E> {
    planned: VecDeque<Cid>,
    /// How often each is still wanted, so that it is fetched once and forgotten after its last use.
    uses: HashMap<Multihash, usize>,
    running: HashSet<Multihash>,
    ready: HashMap<Multihash, Result<Block, E>>,
}

impl<E> Default for Ahead<E> {
    fn default() -> Self {
        Self {
            planned: VecDeque::new(),
            uses: HashMap::new(),
            running: HashSet::new(),
            ready: HashMap::new(),
        }
    }
}

impl<E> Ahead<E> {
    /// These come before all that is planned.
    fn plan(&mut self, cids: impl IntoIterator<Item = Cid, IntoIter: DoubleEndedIterator>) {
        for cid in cids.into_iter().rev() {
            *self.uses.entry(*cid.hash()).or_default() += 1;
            self.planned.push_front(cid);
        }
    }

    /// The next block to ask for: the wanted one in any case, others while there is room.
    fn next(&mut self, wanted: &Cid, running: usize) -> Option<Cid> {
        let known = |hash: &Multihash| self.running.contains(hash) || self.ready.contains_key(hash);
        let next = if known(wanted.hash()) {
            while self.planned.front().is_some_and(|cid| known(cid.hash())) {
                self.planned.pop_front();
            }
            if running + self.ready.len() >= AHEAD {
                return None;
            }
            self.planned.pop_front()?
        } else {
            *wanted
        };
        self.running.insert(*next.hash());
        Some(next)
    }

    fn came(&mut self, hash: Multihash, block: Result<Block, E>) {
        self.running.remove(&hash);
        self.ready.insert(hash, block);
    }

    fn take(&mut self, hash: &Multihash) -> Option<Result<Block, E>> {
        let block = self.ready.remove(hash)?;
        let left = self.uses.get(hash).map_or(0, |uses| uses.saturating_sub(1));
        if left == 0 {
            self.uses.remove(hash);
        } else {
            self.uses.insert(*hash, left);
            if let Ok(block) = &block {
                self.ready.insert(*hash, Ok(block.clone()));
            }
        }
        Some(block)
    }
}

/// Children of a node that the walk has accepted, but for those that carry their content in their id.
pub(crate) fn children(block: &Block) -> Vec<Cid> {
    let Ok(node) = Node::decode(block) else { return Vec::new() };
    let mut cursor = LinkCursor::default();
    let links = std::iter::from_fn(|| node.next_link(&mut cursor).ok().flatten());
    links.map(|(cid, _)| cid).filter(|cid| cid.hash().code() != cid::IDENTITY).collect()
}

fn join(mut pieces: Vec<Bytes>) -> Bytes {
    if pieces.len() == 1 {
        return pieces.remove(0);
    }
    let mut content = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
    for piece in &pieces {
        content.extend_from_slice(piece);
    }
    content.freeze()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::{
        fuzzing::{put, put_node},
        store::{BlockStore as _, MemoryStore},
    };

    /// A store that tells how it was asked.
    #[derive(Default)]
    struct Slow {
        store: MemoryStore,
        log: Mutex<(usize, usize, Vec<Multihash>)>,
    }

    impl BlockSource for Slow {
        type Error = Multihash;

        async fn block(&self, cid: &Cid) -> Result<Block, Multihash> {
            {
                let mut log = self.log.lock().unwrap();
                log.0 += 1;
                log.1 = log.1.max(log.0);
                log.2.push(*cid.hash());
            }
            tokio::task::yield_now().await;
            self.log.lock().unwrap().0 -= 1;
            self.store.get(cid.hash()).unwrap().ok_or(*cid.hash())
        }
    }

    fn leaves(slow: &Slow, range: std::ops::Range<u16>) -> Vec<(Cid, u64)> {
        range.map(|n| (put(&slow.store, &n.to_be_bytes(), cid::RAW).unwrap(), 2)).collect()
    }

    #[tokio::test]
    async fn blocks_are_fetched_ahead_in_order_and_once() {
        let slow = Slow::default();
        let (a, b) = (leaves(&slow, 0..20), leaves(&slow, 20..40));
        let left = put_node(&slow.store, b"", &a).unwrap();
        let right = put_node(&slow.store, b"", &b).unwrap();
        let root = put_node(&slow.store, b"", &[(left, 40), (right, 40), (left, 40)]).unwrap();
        let read = read_file(&slow, root, 1000, []).await.unwrap();
        let want: Vec<u8> = (0..40).chain(0..20).flat_map(|n: u16| n.to_be_bytes()).collect();
        assert_eq!(read, want);
        let log = slow.log.lock().unwrap();
        assert!(log.1 > 3 && log.1 <= AHEAD + 1, "{} at once", log.1);
        let again: HashSet<_> = log.2.iter().collect();
        // Leaves of the repeated half may come again, those in use at the same time do not.
        assert!(
            log.2.len() <= again.len() + 21,
            "{} asked, {} different",
            log.2.len(),
            again.len()
        );
    }

    #[tokio::test]
    async fn a_block_that_is_repeated_side_by_side_is_asked_for_once() {
        let slow = Slow::default();
        let leaf = put(&slow.store, b"zero", cid::RAW).unwrap();
        let root = put_node(&slow.store, b"", &vec![(leaf, 4); 100]).unwrap();
        assert_eq!(read_file(&slow, root, 400, []).await.unwrap(), b"zero".repeat(100));
        assert_eq!(slow.log.lock().unwrap().2.len(), 2);
    }

    #[tokio::test]
    async fn a_known_block_is_not_asked_for() {
        let slow = Slow::default();
        let leaf = put(&slow.store, b"leaf", cid::RAW).unwrap();
        let known = slow.store.get(leaf.hash()).unwrap();
        assert_eq!(read_file(&slow, leaf, 4, known).await.unwrap(), "leaf");
        assert!(slow.log.lock().unwrap().2.is_empty());
    }

    #[tokio::test]
    async fn a_missing_block_and_a_large_file_are_errors() {
        let slow = Slow::default();
        let some = leaves(&slow, 0..30);
        let root = put_node(&slow.store, b"", &some).unwrap();
        let large = read_file(&slow, root, 59, []).await.unwrap_err();
        assert!(matches!(large, FetchError::Tree(ReadError::TooLarge { size: 60, limit: 59 })));
        assert!(slow.store.remove(some[29].0.hash()));
        let missing = read_file(&slow, root, 60, []).await.unwrap_err();
        assert!(matches!(missing, FetchError::Block(hash) if hash == *some[29].0.hash()));
    }
}
