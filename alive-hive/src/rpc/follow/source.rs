//! The shell that asks nodes for what the engines want: [`HiveBlockSource`].

use std::{sync::Arc, time::Duration};

use alive_core::{
    Network,
    backend::{Block, BlockRef, BlockSource, Next, SourceError},
};
use tokio::{sync::Mutex, task::JoinSet, time::Instant};

use crate::{block_id::BlockId, block_reader::BlockReader, network::HiveNetwork};

use super::{
    super::{client::RpcClient, node::ChainNode},
    ahead::{Ahead, Came, Fetch, Limits, Page},
    config::{Follow, HiveBlockSourceConfig},
    failure::FollowError,
    fetch::Fetcher,
    page::PageSize,
    place::{Finality, Head, Step},
};

/// Blocks of a Hive chain, with the operations under one `custom_json` id.
///
/// Far behind the head it asks for several pages at once and gives their blocks in order; near it, it asks for what is
/// new. Every block follows the one before by its id, and is what its header hashes to: see
/// [`BlockReader`](crate::BlockReader). A node whose answer cannot be right is passed over for the next one. With
/// [`Follow::Head`] a block that another replaces is [`Next::Forked`], unless it is irreversible: nodes that have another
/// chain than that are passed over, and [`FollowError::BelowIrreversible`] says if no other is left.
///
/// ```
/// use alive_core::backend::{BlockSource, Next};
/// use alive_hive::{HiveNetwork, rpc};
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let client = rpc::RpcClient::new(rpc::RpcConfig::new(["https://api.hive.blog"])?)?;
/// let config = rpc::HiveBlockSourceConfig::default().from_block(100_000_000);
/// let source = rpc::HiveBlockSource::new(client, HiveNetwork::hive(), config);
/// if let Next::Blocks { blocks, .. } = source.next(None, 100).await? {
///     println!("{} blocks", blocks.len());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct HiveBlockSource {
    fetcher: Arc<Fetcher>,
    config: HiveBlockSourceConfig,
    /// One caller at a time; a second one waits.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    ahead: Ahead,
    finality: Finality,
    /// The pages that are asked for. They stop with the source.
    tasks: JoinSet<Answered>,
}

/// What became of a page that was asked for.
type Answered = (u64, Result<Page, FollowError>);

impl HiveBlockSource {
    /// A source over these nodes.
    pub fn new(client: RpcClient, network: HiveNetwork, config: HiveBlockSourceConfig) -> Self {
        let reader = BlockReader::new(config.custom_json_id.clone(), network.key_prefix);
        let limits = Limits { pages: config.ahead, bytes: config.ahead_bytes };
        let state = State {
            ahead: Ahead::new(limits, PageSize::new(config.page)),
            finality: Finality::default(),
            tasks: JoinSet::new(),
        };
        let fetcher = Arc::new(Fetcher::new(ChainNode::new(client, network), reader));
        Self { fetcher, config, state: Mutex::new(state) }
    }

    async fn read(&self, after: Option<&BlockRef>, limit: usize) -> Result<Next, FollowError> {
        let after = match after {
            None => None,
            Some(after) => match after.id.as_str().parse::<BlockId>() {
                Ok(id) if u64::from(id.block_num()) == after.num => Some(id),
                // A Hive id holds its number, so any other pair was never a block.
                _ => return Ok(Next::Forked),
            },
        };
        let start =
            after.map_or(self.config.from_block, |after| after.block_num().saturating_add(1));
        let mut state = self.state.lock().await;
        if !state.ahead.seek(after.as_ref(), start) {
            // What was asked for is of no use, and not waited for.
            state.tasks = JoinSet::new();
        }
        loop {
            if let Some(next) = self.catch_up(&mut state, after.as_ref(), limit).await? {
                return Ok(next);
            }
            let head = self.fetcher.head(after.map_or(0, |after| after.block_num())).await?;
            let follow = self.config.follow;
            match state.finality.handle_head(&head, after.as_ref(), start, follow) {
                Step::AtHead => return Ok(none(state.finality.told())),
                Step::Deep { until } => state.ahead.extend(until),
                Step::Forked => return Ok(Next::Forked),
                Step::Near { until } => {
                    return self.near(&mut state, after, start..=until, &head, limit).await;
                }
            }
        }
    }

    /// Gives what is there of pages asked for ahead, or waits for it; `None` if nothing is asked for.
    async fn catch_up(
        &self,
        state: &mut State,
        after: Option<&BlockId>,
        limit: usize,
    ) -> Result<Option<Next>, FollowError> {
        let limit = limit.max(1);
        loop {
            while let Some(fetch) = state.ahead.poll_fetch() {
                let is_final = fetch.previous.is_some_and(|id| {
                    // What follows the caller's own block may tell of a fork, unless that is final.
                    after != Some(&id) || state.finality.is_final(&id)
                });
                state.tasks.spawn(ask(Arc::clone(&self.fetcher), fetch, is_final));
            }
            let blocks = state.ahead.ready(limit);
            if !blocks.is_empty() {
                let irreversible = state.finality.handle_deep(&blocks);
                return Ok(Some(Next::Blocks { blocks, irreversible }));
            }
            if !state.ahead.is_waiting() {
                return Ok(None);
            }
            let Some(Ok((ticket, answered))) = state.tasks.join_next().await else {
                // A task that panicked, or none at all: begin again.
                state.ahead.restart_at_caller();
                return Ok(None);
            };
            match answered {
                Ok(page) => {
                    let came = state.ahead.handle_page(ticket, page);
                    if came == Came::Forked {
                        return Ok(Some(Next::Forked));
                    }
                    if came == Came::Torn {
                        return Err(FollowError::Contradiction);
                    }
                }
                Err(error) => {
                    if state.ahead.handle_failure(ticket, error.is_too_much()) {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Asks for the rest up to the head.
    async fn near(
        &self,
        state: &mut State,
        after: Option<BlockId>,
        numbers: std::ops::RangeInclusive<u32>,
        head: &Head,
        limit: usize,
    ) -> Result<Next, FollowError> {
        let (start, until) = numbers.into_inner();
        let follow = self.config.follow;
        let rest = until.saturating_sub(start).saturating_add(1);
        let limit = limit.max(1);
        let count = match follow {
            Follow::Head => {
                rest.min(state.ahead.page().count()).min(u32::try_from(limit).unwrap_or(u32::MAX))
            }
            // What is irreversible is told by the head that it leads to.
            Follow::Irreversible => rest.min(HiveBlockSourceConfig::MAX_PAGE),
        };
        let is_final = after.is_some_and(|id| state.finality.is_final(&id));
        let fetch = Fetch { ticket: 0, start, count, previous: after };
        let fetched = self.fetcher.blocks(&fetch, is_final).await.inspect_err(|error| {
            if error.is_too_much() {
                state.ahead.page().handle_too_much();
            }
        })?;
        let first = fetched.blocks.first().map(|first| &first.previous);
        if after.is_some_and(|after| first != Some(&after.into())) {
            return Ok(Next::Forked);
        }
        let mut blocks = fetched.blocks;
        if follow == Follow::Irreversible {
            self.go_on(&mut blocks, fetch).await?;
        }
        let (mut blocks, irreversible) = state.finality.handle_near(blocks, head, follow);
        blocks.truncate(limit);
        Ok(Next::Blocks { blocks, irreversible })
    }

    /// Asks for the rest of a page that came short, as long as there is some that follows.
    async fn go_on(&self, blocks: &mut Vec<Block>, fetch: Fetch) -> Result<(), FollowError> {
        let end = fetch.start.saturating_add(fetch.count);
        while let Some(last) = blocks.last() {
            let start = u32::try_from(last.at.num).map_or(u32::MAX, |num| num.saturating_add(1));
            if start >= end {
                break;
            }
            let rest = Fetch { start, count: end - start, previous: None, ..fetch };
            let more = self.fetcher.blocks(&rest, false).await?.blocks;
            if more.first().is_none_or(|first| first.previous != last.at.id) {
                break;
            }
            blocks.extend(more);
        }
        Ok(())
    }
}

impl BlockSource for HiveBlockSource {
    async fn next(&self, after: Option<&BlockRef>, limit: usize) -> Result<Next, SourceError> {
        self.read(after, limit).await.map_err(FollowError::into_source_error)
    }

    fn poll_interval(&self) -> Duration {
        self.config.poll_interval
    }

    fn network(&self) -> &Network {
        &self.fetcher.node.network.name
    }
}

fn none(irreversible: u64) -> Next {
    Next::Blocks { blocks: Vec::new(), irreversible }
}

async fn ask(fetcher: Arc<Fetcher>, fetch: Fetch, is_final: bool) -> Answered {
    let start = Instant::now();
    let page = fetcher.blocks(&fetch, is_final).await.map(|fetched| Page {
        blocks: fetched.blocks,
        bytes: fetched.bytes,
        took: start.elapsed(),
    });
    (fetch.ticket, page)
}
