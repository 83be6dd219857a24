//! A chain that is made up while it is read, so that it takes no memory: many streams that are all pushed to in turn.

use std::time::Duration;

use alive_core::{
    Network, SignedOp, Timestamp,
    backend::{Block, BlockRef, BlockSource, Next, SourceError},
};

const CHUNK: &str = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH";

/// Blocks that can still be replaced, as on Hive.
const REVERSIBLE: u64 = 21;

/// The chain: a configure of each stream, then push after push of each.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) network: Network,
    pub(crate) streams: u64,
    /// Pushes of each stream.
    pub(crate) pushes: u64,
    /// Operations of a block.
    pub(crate) per_block: u64,
}

impl Made {
    /// All operations.
    pub(crate) fn ops(&self) -> u64 {
        self.streams * (1 + self.pushes)
    }

    /// All blocks.
    pub(crate) fn blocks(&self) -> u64 {
        self.ops().div_ceil(self.per_block)
    }

    fn at(num: u64) -> BlockRef {
        BlockRef { num, id: format!("{num:040x}").parse().unwrap() }
    }

    fn block(&self, num: u64) -> Block {
        let first = (num - 1) * self.per_block;
        let ops = first..self.ops().min(first + self.per_block);
        let time = Timestamp::from_unix_secs(1_700_000_000 + u32::try_from(num * 3).unwrap());
        let ops = ops.map(|op| Ok(self.op(op))).collect();
        Block { at: Self::at(num), previous: Self::at(num - 1).id, time, ops }
    }

    fn op(&self, op: u64) -> SignedOp {
        let (round, stream) = (op / self.streams, op % self.streams);
        let account = format!("streamer-{}", stream / 3);
        let link = format!("stream-{}", stream % 3);
        let json = match round.checked_sub(1) {
            None => format!(r#"{{"op":2,"link":"{link}","gw":"https://gateway.example"}}"#),
            Some(seq) => format!(r#"{{"op":0,"link":"{link}","seq":{seq},"src":"{CHUNK}"}}"#),
        };
        SignedOp::from_parts(&[&account], &json).unwrap()
    }
}

impl BlockSource for Made {
    async fn next(&self, after: Option<&BlockRef>, limit: usize) -> Result<Next, SourceError> {
        let last = after.map_or(0, |after| after.num);
        let end = self.blocks().min(last + u64::try_from(limit).unwrap());
        let blocks = (last + 1..=end).map(|num| self.block(num)).collect();
        Ok(Next::Blocks { blocks, irreversible: self.blocks().saturating_sub(REVERSIBLE) })
    }

    fn poll_interval(&self) -> Duration {
        Duration::from_millis(50)
    }

    fn network(&self) -> &Network {
        &self.network
    }
}
