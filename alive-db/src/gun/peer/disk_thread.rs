//! The thread of the disk: what waits is written in one transaction.

use std::{
    collections::HashSet,
    sync::mpsc::{Receiver, Sender, channel},
    time::{Duration, Instant},
};

use tokio::{runtime::Handle, sync::mpsc};
use tokio_util::task::TaskTracker;

use super::backlog::{Backlog, Room};
use crate::{
    gun::{DiskGraph, NodeDelta, Write},
    json::Text,
};

/// Most writes of one transaction.
const GROUP: usize = 4096;
/// How long a transaction may wait for more writes, where they come so often that it is worth while. GUN lets them wait for
/// 250 ms always.
const GATHER: Duration = Duration::from_millis(20);
/// After waiting in vain so many transactions do not wait.
const SKIP: u32 = 64;
/// Answers that wait for the engine; the thread waits when there are more.
const ANSWERS: usize = 1024;
/// Estimated memory of nodes among them, in bytes.
const ANSWER_BYTES: usize = 32 << 20;

/// What the disk has done.
#[derive(Debug)]
pub(super) enum Done {
    Loaded(NodeDelta, Room),
    Stored { batches: Vec<u64>, is_stored: bool },
}

#[derive(Debug)]
enum Order {
    Load(Text),
    Store { batch: u64, writes: Vec<Write> },
}

/// The engine's end. The engine bounds what waits in it.
#[derive(Debug)]
pub(super) struct DiskLink {
    orders: Sender<Order>,
    done: mpsc::Receiver<Done>,
}

impl DiskLink {
    pub(super) fn load(&self, soul: Text) {
        // The thread ends only after this end.
        let _open = self.orders.send(Order::Load(soul));
    }

    pub(super) fn store(&self, batch: u64, writes: Vec<Write>) {
        let _open = self.orders.send(Order::Store { batch, writes });
    }

    pub(super) async fn done(&mut self) -> Done {
        match self.done.recv().await {
            Some(done) => done,
            None => std::future::pending().await,
        }
    }
}

/// Starts the thread. It ends, with all orders done, when the link is dropped.
pub(super) fn start(disk: DiskGraph, tasks: &TaskTracker) -> DiskLink {
    let (orders, receiver) = channel();
    let (answers, done) = mpsc::channel(ANSWERS);
    let answers =
        Answers { to: answers, backlog: Backlog::new(ANSWER_BYTES), runtime: Handle::current() };
    tasks.spawn_blocking(move || run(&disk, &receiver, &answers));
    DiskLink { orders, done }
}

/// The thread's end of what it tells the engine.
#[derive(Debug)]
struct Answers {
    to: mpsc::Sender<Done>,
    backlog: Backlog,
    runtime: Handle,
}

impl Answers {
    fn loaded(&self, node: NodeDelta) {
        let bytes = node.bytes();
        let room = self.backlog.try_take(bytes);
        let room = room.unwrap_or_else(|| self.runtime.block_on(self.backlog.take(bytes)));
        // When the engine is gone, the writes that it has ordered are done all the same.
        let _gone = self.to.blocking_send(Done::Loaded(node, room));
    }

    fn stored(&self, batches: Vec<u64>, is_stored: bool) {
        let _gone = self.to.blocking_send(Done::Stored { batches, is_stored });
    }
}

fn run(disk: &DiskGraph, orders: &Receiver<Order>, answers: &Answers) {
    let (mut group, mut pace) = (Group::default(), Pace::default());
    while let Ok(order) = orders.recv() {
        group.take(disk, order, answers);
        while group.writes.len() < GROUP
            && let Ok(order) = orders.try_recv()
        {
            group.take(disk, order, answers);
        }
        let start = Instant::now();
        if !group.batches.is_empty() && pace.waits(start) {
            let mut is_of_use = false;
            while group.writes.len() < GROUP
                && let Ok(order) = orders.recv_timeout(GATHER.saturating_sub(start.elapsed()))
            {
                let is_write = matches!(order, Order::Store { .. });
                is_of_use |= is_write && start.elapsed() >= GATHER / 2;
                group.take(disk, order, answers);
            }
            pace.waited(is_of_use);
        }
        group.commit(disk, answers);
    }
}

/// When it is worth while to let a transaction wait for more writes: when there was another a moment ago, and waiting was of
/// use the last time. It is of none when all who write wait for what they have written: then nothing comes in the second
/// half of the time.
#[derive(Debug, Default)]
struct Pace {
    last: Option<Instant>,
    /// So many transactions go without waiting, after one that waited in vain.
    skip: u32,
}

impl Pace {
    /// Whether the transaction that is ready now waits for more.
    fn waits(&mut self, now: Instant) -> bool {
        let is_often = self.last.is_some_and(|last| now.duration_since(last) < 2 * GATHER);
        self.last = Some(now);
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        is_often
    }

    fn waited(&mut self, is_of_use: bool) {
        self.skip = if is_of_use { 0 } else { SKIP };
    }
}

/// Writes that are not committed yet.
#[derive(Debug, Default)]
struct Group {
    batches: Vec<u64>,
    writes: Vec<Write>,
    souls: HashSet<Text>,
}

impl Group {
    fn take(&mut self, disk: &DiskGraph, order: Order, answers: &Answers) {
        match order {
            Order::Load(soul) => {
                // A node with writes of this group is read behind them; others need not wait.
                if self.souls.contains(&soul) {
                    self.commit(disk, answers);
                }
                let node = disk.load(&soul).unwrap_or_else(|error| {
                    tracing::error!(%error, "a node cannot be read");
                    NodeDelta { soul, entries: Vec::new() }
                });
                answers.loaded(node);
            }
            Order::Store { batch, writes } => {
                self.batches.push(batch);
                self.souls.extend(writes.iter().map(|write| write.soul().clone()));
                self.writes.extend(writes);
            }
        }
    }

    fn commit(&mut self, disk: &DiskGraph, answers: &Answers) {
        if self.batches.is_empty() {
            return;
        }
        let written = disk.write(&self.writes);
        if let Err(error) = &written {
            tracing::error!(%error, "values cannot be written");
        }
        answers.stored(std::mem::take(&mut self.batches), written.is_ok());
        self.writes.clear();
        self.souls.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_waits_only_where_that_is_of_use() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        assert!(!pace.waits(start), "the first one");
        assert!(!pace.waits(start + 3 * GATHER), "one now and then");
        assert!(pace.waits(start + 4 * GATHER));
        pace.waited(true);
        assert!(pace.waits(start + 5 * GATHER));
        pace.waited(false);
        let at = |n: u32| start + 5 * GATHER + Duration::from_millis(n.into());
        let waits: Vec<_> = (0..200)
            .filter(|n| {
                let waits = pace.waits(at(*n));
                if waits {
                    pace.waited(false);
                }
                waits
            })
            .collect();
        assert_eq!(waits, [64, 129, 194], "one in 65 who write one after the other");
    }
}
