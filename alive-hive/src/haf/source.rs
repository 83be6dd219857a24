//! The shell: [`HafBlockSource`] walks HAF's loop for a caller.

use std::time::Duration;

use alive_core::{
    Network,
    backend::{BlockRef, BlockSource, Next, SourceError},
};
use tokio::{sync::Mutex, time::Instant};

use super::{
    config::HafBlockSourceConfig,
    context::{self, Look},
    error::HafError,
    iteration::{self, Meaning},
    overlay::{Overlay, Place},
    read::Reader,
    session::Session,
};

/// Reversible blocks that are looked at above the irreversible one; a chain whose head is further away is in trouble.
const MAX_REVERSIBLE: u32 = 10_000;

/// The longest wait between two attempts to connect.
const LONGEST_BACKOFF: Duration = Duration::from_secs(10);

/// Blocks of the chain that a HAF database follows, with the operations under one `custom_json` id.
///
/// What [`next`](BlockSource::next) gives stays in an open transaction of HAF's until the following call shows, by
/// naming the last of these blocks, that the caller keeps them; any other call rolls it back. So a caller must write a
/// block down before it names it, as every indexer does. A call that is dropped half way takes its connection with it,
/// and with it the transaction. One source serves one caller; calls at the same time wait for each other. Several
/// sources may use one context: each gets all blocks.
///
/// Without the overlay all blocks are irreversible. With it, reversible ones follow as HAF shows them, and one that
/// another replaces is [`Next::Forked`].
///
/// ```no_run
/// use alive_core::{Network, backend::{BlockSource, Next}};
/// use alive_hive::haf::{HafBlockSource, HafBlockSourceConfig};
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let config = HafBlockSourceConfig::new("postgresql://alive@localhost/haf_block_log")?;
/// let source = HafBlockSource::new(Network::hive(), config);
/// if let Next::Blocks { blocks, .. } = source.next(None, 100).await? {
///     println!("{} blocks", blocks.len());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct HafBlockSource {
    network: Network,
    config: HafBlockSourceConfig,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    link: Option<Link>,
    /// The highest number that HAF ever called irreversible: one that starts anew takes nothing back.
    irreversible: u32,
    backoff: Backoff,
}

/// A connection, and the transaction that waits on it for the caller.
#[derive(Debug)]
struct Link {
    session: Session,
    open: Open,
}

/// What waits for the caller in an open transaction.
#[derive(Debug, Default)]
enum Open {
    #[default]
    Nothing,
    /// A range that was handed out only in part.
    Part,
    /// A range that was handed out up to this block, its last.
    Whole(BlockRef),
}

impl HafBlockSource {
    /// A source of this network's blocks. It connects when it is first asked, and creates its context then.
    pub fn new(network: Network, config: HafBlockSourceConfig) -> Self {
        Self { network, config, state: Mutex::default() }
    }

    async fn read(&self, after: Option<&BlockRef>, limit: usize) -> Result<Next, HafError> {
        let mut state = self.state.lock().await;
        // Taken out: what fails or is dropped half way takes its connection with it, and the server rolls back.
        if let Some(mut link) = state.link.take().filter(|link| !link.session.is_closed()) {
            match self.answer(&mut link, &mut state.irreversible, after, limit).await {
                Err(error) if error.is_lost() => {
                    tracing::info!(%error, "the connection to HAF was lost");
                }
                Err(error) => return Err(error),
                Ok(next) => {
                    state.link = Some(link);
                    return Ok(next);
                }
            }
        }
        let mut link = self.connect(&mut state.backoff).await?;
        let next = self.answer(&mut link, &mut state.irreversible, after, limit).await?;
        state.link = Some(link);
        Ok(next)
    }

    async fn connect(&self, backoff: &mut Backoff) -> Result<Link, HafError> {
        backoff.wait().await;
        let session = Session::open(&self.config).await?;
        context::prepare(&session, &self.config).await?;
        *backoff = Backoff::default();
        Ok(Link { session, open: Open::Nothing })
    }

    async fn answer(
        &self,
        link: &mut Link,
        irreversible: &mut u32,
        after: Option<&BlockRef>,
        limit: usize,
    ) -> Result<Next, HafError> {
        link.settle(after).await?;
        let Some(have) = self.have(after) else { return Ok(Next::Forked) };
        let limit = u32::try_from(limit).unwrap_or(u32::MAX).min(self.config.batch);
        let mut walk = Walk { source: self, link, irreversible, after, have, limit };
        walk.next().await
    }

    /// The number up to which the caller has all blocks, `None` if no chain has a block of that number.
    fn have(&self, after: Option<&BlockRef>) -> Option<u32> {
        let before_first = self.config.from_block.saturating_sub(1);
        let num = after.map_or(u64::from(before_first), |after| after.num);
        u32::try_from(num).ok().filter(|num| *num < i32::MAX.unsigned_abs())
    }
}

impl BlockSource for HafBlockSource {
    async fn next(&self, after: Option<&BlockRef>, limit: usize) -> Result<Next, SourceError> {
        self.read(after, limit).await.map_err(HafError::into_source_error)
    }

    fn poll_interval(&self) -> Duration {
        self.config.poll_interval
    }

    fn network(&self) -> &Network {
        &self.network
    }
}

impl Link {
    /// Ends the open transaction: for good if the caller has the last block of its range, else as if it never was.
    async fn settle(&mut self, after: Option<&BlockRef>) -> Result<(), HafError> {
        match std::mem::take(&mut self.open) {
            Open::Nothing => Ok(()),
            Open::Whole(last) if after == Some(&last) => self.commit().await,
            Open::Part | Open::Whole(_) => self.roll_back().await,
        }
    }

    async fn commit(&self) -> Result<(), HafError> {
        self.session.run("a range was committed", "COMMIT").await
    }

    async fn roll_back(&self) -> Result<(), HafError> {
        self.session.run("a range was given back", "ROLLBACK").await
    }
}

/// One call of a caller.
struct Walk<'a> {
    source: &'a HafBlockSource,
    link: &'a mut Link,
    irreversible: &'a mut u32,
    after: Option<&'a BlockRef>,
    have: u32,
    limit: u32,
}

/// What to do after a step.
enum Step {
    Again,
    Done(Next),
}

impl Walk<'_> {
    async fn next(&mut self) -> Result<Next, HafError> {
        loop {
            let look = self.look().await?;
            if self.is_gone(&look) {
                return Ok(Next::Forked);
            }
            if self.limit == 0 {
                return Ok(self.nothing());
            }
            let step = if look.current > self.have {
                self.replay(&look).await?
            } else {
                self.iterate(look.current).await?
            };
            if let Step::Done(next) = step {
                return Ok(next);
            }
        }
    }

    async fn look(&mut self) -> Result<Look, HafError> {
        let config = &self.source.config;
        let look = context::look(&self.link.session, &config.context, self.have).await?;
        *self.irreversible = look.irreversible.max(*self.irreversible);
        Ok(look)
    }

    /// Whether HAF has another block in the place of the caller's. What is above the irreversible blocks, the overlay
    /// tells more surely: there HAF may still show an old branch.
    fn is_gone(&self, look: &Look) -> bool {
        let Some(after) = self.after else { return false };
        let by_overlay = self.source.config.overlay && self.have > look.irreversible;
        !by_overlay && look.id.as_ref().is_some_and(|id| *id != after.id)
    }

    /// HAF's context is ahead of the caller: it lost blocks, or another source uses the context. They are irreversible,
    /// and HAF still shows them.
    async fn replay(&mut self, look: &Look) -> Result<Step, HafError> {
        let first = self.have.saturating_add(1);
        let last = self.have.saturating_add(self.limit).min(look.current);
        let session = &self.link.session;
        session.run("old blocks were read", "BEGIN READ ONLY").await?;
        let blocks = Reader::of_haf(session, &self.source.config).blocks(first, last).await?;
        self.link.commit().await?;
        Ok(Step::Done(self.found(blocks)))
    }

    /// Asks for the next range. Ranges that the caller has are committed at once, and asked for in one piece.
    async fn iterate(&mut self, current: u32) -> Result<Step, HafError> {
        let config = &self.source.config;
        let lacking = self.have.saturating_sub(current);
        let max = if lacking > 0 { lacking } else { self.limit };
        let Some(range) = iteration::call(&self.link.session, &config.context, max).await? else {
            // Committed, because the call told HAF that this application is alive.
            self.link.commit().await?;
            // While the call waited for another source of the context, that one may have taken the blocks.
            return if self.look().await?.current > self.have {
                Ok(Step::Again)
            } else if config.overlay {
                self.overlay().await
            } else {
                Ok(Step::Done(self.nothing()))
            };
        };
        match range.against(self.have) {
            Meaning::Applied => {
                self.link.commit().await?;
                tracing::debug!(?range, "blocks that the index has were passed over in HAF");
                Ok(Step::Again)
            }
            Meaning::TooFar => {
                self.link.roll_back().await?;
                Ok(Step::Again)
            }
            Meaning::Next => {
                let look = self.look().await?;
                if range.last > look.irreversible {
                    return Err(HafError::ForkingContext(config.context.clone()));
                }
                let first = self.have.saturating_add(1);
                let last = range.last.min(self.have.saturating_add(self.limit));
                let reader = Reader::of_context(&self.link.session, config);
                let blocks = reader.blocks(first, last).await?;
                let end = blocks.last().filter(|block| block.at.num == u64::from(range.last));
                self.link.open = end.map_or(Open::Part, |block| Open::Whole(block.at.clone()));
                Ok(Step::Done(self.found(blocks)))
            }
        }
    }

    /// Reads on above the irreversible blocks, all in one snapshot.
    async fn overlay(&mut self) -> Result<Step, HafError> {
        let session = &self.link.session;
        let what = "reversible blocks were read";
        session.run(what, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let look = context::look(session, &self.source.config.context, self.have).await?;
        *self.irreversible = look.irreversible.max(*self.irreversible);
        let reader = Reader::of_haf(session, &self.source.config);
        let end = look.irreversible.saturating_add(MAX_REVERSIBLE);
        let overlay =
            Overlay::new(look.irreversible, reader.headers(look.irreversible, end).await?);
        let next = match overlay.place(self.after, self.have) {
            Place::Below => self.nothing(),
            // HAF starts anew and is not there yet.
            Place::Forked if self.have <= *self.irreversible => self.nothing(),
            Place::Forked => Next::Forked,
            Place::At(mut headers) => {
                headers.truncate(usize::try_from(self.limit).unwrap_or(usize::MAX));
                let blocks = reader.with_ops(headers).await?;
                self.found(blocks)
            }
        };
        self.link.commit().await?;
        Ok(Step::Done(next))
    }

    fn nothing(&self) -> Next {
        self.found(Vec::new())
    }

    fn found(&self, blocks: Vec<alive_core::backend::Block>) -> Next {
        Next::Blocks { blocks, irreversible: (*self.irreversible).into() }
    }
}

/// Waits between attempts to connect: the first one at once, then doubling.
#[derive(Debug, Default)]
struct Backoff {
    attempts: u32,
    last: Option<Instant>,
}

impl Backoff {
    async fn wait(&mut self) {
        if let Some(last) = self.last {
            tokio::time::sleep_until(last + self.pause()).await;
        }
        self.attempts = self.attempts.saturating_add(1);
        self.last = Some(Instant::now());
    }

    fn pause(&self) -> Duration {
        let doubled = Duration::from_millis(100) * 2_u32.saturating_pow(self.attempts.min(10));
        doubled.min(LONGEST_BACKOFF)
    }
}
