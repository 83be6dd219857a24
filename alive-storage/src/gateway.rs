//! Content behind HTTP gateways that nobody needs to trust: [`GatewayStorage`], read-only, every byte checked.

mod health;
pub(crate) mod redirect;
mod server;
pub(crate) mod sieve;

use std::{
    fmt,
    future::Future,
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};

use alive_core::{
    ContentId, GatewayUrl,
    backend::{Storage, StorageError},
};
use bytes::Bytes;
use moka::sync::Cache;

use self::{
    server::{Found, Miss, Server},
    sieve::Sieve,
};
use crate::{
    block::Block,
    cid::{self, Cid},
    fetch::{self, BlockSource, FetchError},
    hedge,
    http::{HttpError, HttpOptions},
    unixfs::{Node, ReadError},
};

/// What errors of this backend call it.
const BACKEND: &str = "gateway";
/// Contents that are remembered as absent.
const MOST_ABSENT: u64 = 10_000;
/// Longest time for which they are.
const MOST_ABSENT_FOR: Duration = Duration::from_hours(24);
/// Most bytes of a file that is fetched whole where it should come in pieces.
const WHOLE_BYTES: usize = 1 << 30;
/// Children of a root from which on a CAR is worth its round trip.
const MANY_BLOCKS: usize = 3;

/// Reads content from gateways that nobody needs to trust.
///
/// The root is asked for as a block (`format=raw`), files of several blocks as an archive (`format=car`), and what is missing
/// of it by blocks again, from whichever gateway is quick: each block is checked when it comes, so several gateways can
/// serve one file. A gateway that gives whole files only is believed if one of the profiles of `ipfs add` gives the asked
/// id for them.
///
/// The healthiest gateway is asked first and, if it takes longer than it usually does, the next one beside it. One that
/// fails rests for a while, one that lies for longer; content that no gateway has is not asked for again for some seconds.
/// No answer is read further than the caller's limit or slower than [`HttpOptions`] allow, nothing is unpacked, and
/// redirects are followed only to the same content on the public internet. Nothing can be stored through it.
///
/// ```
/// use alive_storage::{GatewayOptions, GatewayStorage};
/// let urls = ["https://ipfs.example".parse()?, "https://gateway.example".parse()?];
/// let gateways = GatewayStorage::of(urls, &GatewayOptions::default())?;
/// assert_eq!(gateways.health().len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct GatewayStorage(Arc<Shared>);

struct Shared {
    servers: Vec<Server>,
    absent: Cache<ContentId, ()>,
}

impl GatewayStorage {
    /// A reader of this gateway, which the operator trusts enough to let it be in a private network.
    ///
    /// # Errors
    /// The HTTP client cannot be made.
    pub fn new(base: GatewayUrl) -> Result<Self, StorageError> {
        Self::of([base], &GatewayOptions::default())
    }

    /// A reader that gives up on an answer that takes longer than `timeout`.
    ///
    /// # Errors
    /// The HTTP client cannot be made.
    pub fn with_timeout(base: GatewayUrl, timeout: Duration) -> Result<Self, StorageError> {
        let http = HttpOptions::default().answer_timeout(timeout).grace(timeout);
        Self::of([base], &GatewayOptions::default().http(http))
    }

    /// A reader of these gateways, the preferred ones first. Use [`Reach::Public`](crate::Reach::Public) for gateways that
    /// others have named.
    ///
    /// # Errors
    /// There is none, or the HTTP client cannot be made.
    pub fn of(
        gateways: impl IntoIterator<Item = GatewayUrl>,
        options: &GatewayOptions,
    ) -> Result<Self, StorageError> {
        let servers = gateways.into_iter().map(|url| Server::new(url, &options.http));
        let servers: Vec<_> = servers.collect::<Result<_, _>>().map_err(refused)?;
        if servers.is_empty() {
            return Err(refused(Problem::NoGateway));
        }
        let absent = Cache::builder().max_capacity(MOST_ABSENT).time_to_live(options.absent_for);
        Ok(Self(Arc::new(Shared { servers, absent: absent.build() })))
    }

    /// How each gateway has behaved lately, in the order in which they were given.
    pub fn health(&self) -> Vec<GatewayHealth> {
        let now = Instant::now();
        let of = |server: &Server| {
            let health = server.health();
            GatewayHealth {
                url: server.url.clone(),
                latency: health.latency(),
                failures: health.failures(),
                lies: health.lies(),
                rest: health.rest(now),
            }
        };
        self.0.servers.iter().map(of).collect()
    }

    /// Reads content of at most `limit` bytes piece by piece, in order, each piece checked before `take` gets it; `take`
    /// says whether to go on. Memory is that of a few blocks, however large the content is, but where no gateway gives
    /// blocks: then it is fetched whole, up to 1 GiB.
    ///
    /// # Errors
    /// As [`get`](Storage::get), also after some pieces.
    pub async fn get_pieces(
        &self,
        id: &ContentId,
        limit: u64,
        mut take: impl FnMut(Bytes) -> ControlFlow<()> + Send,
    ) -> Result<(), StorageError> {
        let root = self.root_of(id)?;
        let mut is_begun = false;
        let taken = |data| {
            is_begun = true;
            take(data)
        };
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let misses = match fetch::read_pieces(&*self.0, root, limit, [], taken).await {
            Ok(()) => return Ok(()),
            Err(FetchError::Tree(error)) => return Err(tree_error(id, most, error)),
            Err(FetchError::Block(misses)) => misses,
        };
        if is_begun || !self.0.servers.iter().any(Server::is_plain) {
            return Err(self.failed(id, most, misses));
        }
        let _enough = take(self.get(id, most.min(WHOLE_BYTES)).await?);
        Ok(())
    }

    fn root_of(&self, id: &ContentId) -> Result<Cid, StorageError> {
        if self.0.absent.contains_key(&id.canonical()) {
            return Err(StorageError::NotFound(*id));
        }
        cid::of_content(id).ok_or_else(|| refused(Problem::NotIpfs))
    }

    /// What a failure at all gateways means to the caller.
    fn failed(&self, id: &ContentId, limit: usize, misses: Misses) -> StorageError {
        let any = |is: fn(&Miss) -> bool| misses.0.iter().any(|(_, miss)| is(miss));
        if any(|miss| matches!(miss, Miss::Http(error) if error.is_transient())) {
            StorageError::Unavailable { backend: BACKEND, source: misses.into() }
        } else if any(Miss::is_lie) {
            StorageError::Corrupt { id: *id, source: misses.into() }
        } else if any(|miss| matches!(miss, Miss::Http(HttpError::TooLarge { .. }))) {
            StorageError::TooLarge { id: *id, limit }
        } else if any(|miss| matches!(miss, Miss::Absent)) {
            self.0.absent.insert(id.canonical(), ());
            StorageError::NotFound(*id)
        } else if any(|miss| matches!(miss, Miss::Plain)) {
            StorageError::Corrupt { id: *id, source: misses.into() }
        } else {
            StorageError::Refused { backend: BACKEND, source: misses.into() }
        }
    }
}

impl Storage for GatewayStorage {
    async fn put(&self, _data: Bytes) -> Result<ContentId, StorageError> {
        Err(refused(Problem::ReadOnly))
    }

    async fn get(&self, id: &ContentId, limit: usize) -> Result<Bytes, StorageError> {
        let root = self.root_of(id)?;
        let found = self.0.race(|server| server.root(&root, limit)).await;
        let block = match found {
            Ok(Found::File(data)) => return Ok(data),
            Ok(Found::Block(block)) => block,
            Err(misses) if misses.0.iter().any(|(_, miss)| matches!(miss, Miss::Plain)) => {
                let file = self.0.race(|server| server.file(&root, limit)).await;
                return file.map_err(|misses| self.failed(id, limit, misses));
            }
            Err(misses) => return Err(self.failed(id, limit, misses)),
        };
        let known = self.0.blocks_below(&root, block, limit).await;
        match fetch::read_file(&*self.0, root, limit, known).await {
            Ok(data) => Ok(data),
            Err(FetchError::Tree(error)) => Err(tree_error(id, limit, error)),
            Err(FetchError::Block(misses)) => {
                // Whole files are the last way: the gateways that give blocks do not have them all.
                let plain = |server: &Server| server.is_plain();
                match self.0.race_of(plain, |server| server.file(&root, limit)).await {
                    Ok(data) => Ok(data),
                    Err(_) => Err(self.failed(id, limit, misses)),
                }
            }
        }
    }

    async fn has(&self, id: &ContentId) -> Result<bool, StorageError> {
        let root = match self.root_of(id) {
            Err(StorageError::NotFound(_)) => return Ok(false),
            root => root?,
        };
        match self.0.race(|server| server.has(&root)).await {
            Ok(()) => Ok(true),
            Err(misses) => match self.failed(id, 0, misses) {
                StorageError::NotFound(_) => Ok(false),
                error => Err(error),
            },
        }
    }

    async fn pin(&self, _id: &ContentId) -> Result<(), StorageError> {
        Err(refused(Problem::ReadOnly))
    }
}

impl fmt::Debug for GatewayStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayStorage").field("gateways", &self.health()).finish()
    }
}

impl Shared {
    /// Asks the gateways by health, until one has it.
    async fn race<'a, T, F>(&'a self, ask: impl Fn(&'a Server) -> F) -> Result<T, Misses>
    where
        F: Future<Output = Result<T, Miss>>,
    {
        self.race_of(|_| true, ask).await
    }

    async fn race_of<'a, T, F>(
        &'a self,
        of: impl Fn(&Server) -> bool,
        ask: impl Fn(&'a Server) -> F,
    ) -> Result<T, Misses>
    where
        F: Future<Output = Result<T, Miss>>,
    {
        let servers: Vec<&'a Server> = self.servers.iter().filter(|server| of(server)).collect();
        let health: Vec<_> = servers.iter().map(|server| server.health()).collect();
        let order = health::order(&health, Instant::now());
        let patience =
            |at: usize| servers.get(at).map_or(Duration::ZERO, |server| server.patience());
        let ask = |at: usize| {
            let asked = servers.get(at).map(|server| ask(server));
            async move {
                match asked {
                    Some(asked) => asked.await,
                    None => Err(Miss::Absent),
                }
            }
        };
        hedge::race(&order, patience, ask).await.map_err(|misses| {
            let of = |(at, miss): (usize, Miss)| Some((servers.get(at)?.url.clone(), miss));
            Misses(misses.into_iter().filter_map(of).collect())
        })
    }

    /// A root and, if it has many children, what an archive of them brings: any part of it is a gain.
    async fn blocks_below(&self, root: &Cid, block: Block, limit: usize) -> Vec<Block> {
        let size = Node::decode(&block).map_or(0, |node| node.file_size());
        let mut sieve = Sieve::new(root, block);
        if sieve.wanted() < MANY_BLOCKS || size > limit as u64 {
            return sieve.into_blocks();
        }
        let health: Vec<_> = self.servers.iter().map(Server::health).collect();
        let order = health::order(&health, Instant::now());
        let servers = order.iter().filter_map(|at| self.servers.get(*at));
        // One only: what it leaves out is fetched from all. A failure is in its health.
        if let Some(server) = servers.into_iter().find(|server| server.may_car()) {
            let _ = server.car(root, size, &mut |block| sieve.offer(block)).await;
        }
        sieve.into_blocks()
    }
}

impl BlockSource for Shared {
    type Error = Misses;

    async fn block(&self, cid: &Cid) -> Result<Block, Misses> {
        self.race(|server| server.block(cid)).await
    }
}

/// How gateways are used.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GatewayOptions {
    http: HttpOptions,
    absent_for: Duration,
}

impl GatewayOptions {
    /// How they are spoken to.
    #[must_use]
    pub fn http(self, http: HttpOptions) -> Self {
        Self { http, ..self }
    }

    /// How long content that no gateway has is not asked for again. 5 seconds by default: a live segment may be announced
    /// before every gateway finds it. A day at most.
    #[must_use]
    pub fn absent_for(self, absent_for: Duration) -> Self {
        Self { absent_for: absent_for.min(MOST_ABSENT_FOR), ..self }
    }
}

impl Default for GatewayOptions {
    fn default() -> Self {
        Self { http: HttpOptions::default(), absent_for: Duration::from_secs(5) }
    }
}

/// How a gateway has behaved lately.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GatewayHealth {
    /// Its address.
    pub url: GatewayUrl,
    /// How long it usually takes for an answer, once it has given one.
    pub latency: Option<Duration>,
    /// Failures since it last answered well.
    pub failures: u32,
    /// Answers that were not what was asked for, since the start.
    pub lies: u64,
    /// How long it is still left alone.
    pub rest: Option<Duration>,
}

/// What was wrong at each gateway that was asked.
#[derive(Debug)]
struct Misses(Vec<(GatewayUrl, Miss)>);

impl fmt::Display for Misses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no gateway gave it")?;
        for (url, miss) in &self.0 {
            write!(f, "; {url}: {miss}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Misses {}

/// What is not done with gateways.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("no gateway is named")]
    NoGateway,
    #[error("content of Skynet is not read through an IPFS gateway")]
    NotIpfs,
    #[error("a gateway is only read from")]
    ReadOnly,
}

fn tree_error(id: &ContentId, limit: usize, error: ReadError) -> StorageError {
    match error {
        ReadError::TooLarge { .. } => StorageError::TooLarge { id: *id, limit },
        ReadError::Missing(_) => StorageError::NotFound(*id),
        other => refused(other),
    }
}

fn refused(source: impl std::error::Error + Send + Sync + 'static) -> StorageError {
    StorageError::Refused { backend: BACKEND, source: source.into() }
}

#[cfg(test)]
mod tests;
