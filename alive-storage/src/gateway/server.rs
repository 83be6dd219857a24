//! One gateway: the questions it is asked, and what its answers are worth. [`Server`].
//!
//! Source: `spec/storage.md`, section 6.

use std::{
    future::Future,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use alive_core::GatewayUrl;
use bytes::Bytes;
use reqwest::{Method, StatusCode, header::ACCEPT};
use tokio::task::spawn_blocking;

use super::{
    health::{Fault, Health},
    redirect::{self, MAX_REDIRECTS},
};
use crate::{
    block::{Block, BlockError, MAX_BLOCK_BYTES},
    car::{CarDecoder, CarError},
    cid::Cid,
    http::{self, Answer, Http, HttpError, HttpOptions, Reach},
    proof::is_content,
};

/// Media types of the trustless answers.
const RAW: &str = "application/vnd.ipld.raw";
const CAR: &str = "application/vnd.ipld.car";
/// What is asked for when a CAR is.
const CAR_ACCEPT: &str = "application/vnd.ipld.car;version=1;order=dfs;dups=n";
/// Bytes of a block around its content that a plain answer may have, if it is a block after all.
const FRAME: usize = 64;
/// Blocks in a CAR that nobody asked for, before it counts as a lie.
const MAX_EXTRA_BLOCKS: u32 = 16;
/// Bytes of a CAR before its first block.
const HEADER_BYTES: u64 = 128;

/// A gateway and what is known about it.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) url: GatewayUrl,
    home: Http,
    abroad: Http,
    known: Mutex<Known>,
}

/// What has been learned about a gateway.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    health: Health,
    /// It gives whole files only.
    plain: bool,
    /// It gives no CARs.
    no_car: bool,
}

/// What a gateway had for a root.
#[derive(Debug)]
pub(super) enum Found {
    /// The root block.
    Block(Block),
    /// The whole file, for it has no blocks to give.
    File(Bytes),
}

/// Why a gateway had nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Miss {
    #[error("does not have it")]
    Absent,
    #[error("the block is not the one that was asked for")]
    Block(#[from] BlockError),
    #[error("the archive is refused")]
    Car(#[from] CarError),
    #[error("blocks that nobody asked for")]
    ExtraBlocks,
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("the answer is not the content of the id under any known profile")]
    OtherBytes,
    #[error("gives no blocks")]
    Plain,
}

impl Miss {
    /// Whether the gateway gave something else than was asked for.
    pub(super) fn is_lie(&self) -> bool {
        self.fault() == Some(Fault::Lie)
    }

    /// What it says about the gateway; nothing, if the gateway was right.
    fn fault(&self) -> Option<Fault> {
        match self {
            Self::Absent | Self::Plain => None,
            Self::Block(_) | Self::Car(_) | Self::ExtraBlocks | Self::OtherBytes => {
                Some(Fault::Lie)
            }
            Self::Http(error) => match error {
                HttpError::Status { status: 429 | 503, retry_after, .. } => {
                    Some(Fault::Busy(*retry_after))
                }
                // It has not found the content in time, and is well.
                HttpError::Status { status: 504, .. } => None,
                HttpError::Status { status: 500.., .. }
                | HttpError::NoAnswer
                | HttpError::Slow { .. }
                | HttpError::Transport(_) => Some(Fault::Down),
                // A whole file may be larger than the caller wants it.
                HttpError::Status { .. } | HttpError::TooLarge { .. } => None,
                HttpError::Address(_)
                | HttpError::Answer(_)
                | HttpError::Encoding(_)
                | HttpError::Redirect(_) => Some(Fault::Lie),
            },
        }
    }
}

impl Server {
    pub(super) fn new(url: GatewayUrl, options: &HttpOptions) -> Result<Self, HttpError> {
        let (home, abroad) = (Http::new(options)?, options.clone().reach(Reach::Public));
        Ok(Self { url, home, abroad: Http::new(&abroad)?, known: Mutex::default() })
    }

    /// How it has behaved.
    pub(super) fn health(&self) -> Health {
        self.known().health
    }

    /// Whether it is known to give whole files only.
    pub(super) fn is_plain(&self) -> bool {
        self.known().plain
    }

    /// Whether it may be asked for CARs.
    pub(super) fn may_car(&self) -> bool {
        let known = self.known();
        !known.plain && !known.no_car
    }

    /// The root of a file of at most `limit` bytes: its block, or all of it from a gateway that gives no blocks.
    pub(super) async fn root(&self, cid: &Cid, limit: usize) -> Result<Found, Miss> {
        self.judged(async {
            let answer = self.ask(Method::GET, cid, Some((RAW, "raw"))).await?;
            let raw = answer.is_type(RAW);
            self.set(|known| known.plain = !raw);
            if raw {
                return block(answer, cid).await.map(Found::Block);
            }
            file_or_block(answer, cid, limit).await
        })
        .await
    }

    /// A block.
    pub(super) async fn block(&self, cid: &Cid) -> Result<Block, Miss> {
        if self.is_plain() {
            return Err(Miss::Plain);
        }
        self.judged(async {
            let answer = self.ask(Method::GET, cid, Some((RAW, "raw"))).await?;
            let block = block(answer, cid).await;
            if matches!(block, Err(Miss::Plain)) {
                self.set(|known| known.plain = true);
            }
            block
        })
        .await
    }

    /// A whole file of at most `limit` bytes, by importing it again.
    pub(super) async fn file(&self, cid: &Cid, limit: usize) -> Result<Bytes, Miss> {
        self.judged(async {
            let answer = self.ask(Method::GET, cid, None).await?;
            match file_or_block(answer, cid, limit).await? {
                Found::File(data) => Ok(data),
                Found::Block(_) => Err(Miss::OtherBytes),
            }
        })
        .await
    }

    /// Whether it says that it has it.
    pub(super) async fn has(&self, cid: &Cid) -> Result<(), Miss> {
        self.judged(async { self.ask(Method::HEAD, cid, None).await.map(drop) }).await
    }

    /// Blocks below a root whose content has `size` bytes, as they come in a CAR. What came before it broke off or lied is
    /// good and given to `keep`, which says whether a block belongs to the file.
    pub(super) async fn car(
        &self,
        root: &Cid,
        size: u64,
        keep: &mut (impl FnMut(Block) -> bool + Send),
    ) -> Result<(), Miss> {
        self.judged(async {
            let mut answer = self.ask(Method::GET, root, Some((CAR_ACCEPT, "car"))).await?;
            if !answer.is_type(CAR) {
                self.set(|known| known.no_car = true);
                return Err(Miss::Plain);
            }
            // Inner nodes are small beside their leaves; what has more than an eighth of them is fetched by blocks.
            let slack = size / 8 + MAX_BLOCK_BYTES as u64 + HEADER_BYTES;
            let limit = size.saturating_add(slack);
            let (mut car, mut extra) = (CarDecoder::new(limit), 0);
            while let Some(piece) = answer.chunk().await? {
                car.push(piece);
                while let Some(block) = car.poll()? {
                    if !keep(block.block().clone()) {
                        extra += 1;
                    }
                    if extra > MAX_EXTRA_BLOCKS {
                        return Err(Miss::ExtraBlocks);
                    }
                }
            }
            Ok(car.finish()?)
        })
        .await
    }

    /// Asks, following redirects to the same content.
    async fn ask(
        &self,
        method: Method,
        cid: &Cid,
        form: Option<(&str, &str)>,
    ) -> Result<Answer, Miss> {
        let home = http::url_of(&self.url, &format!("/ipfs/{cid}"))?;
        let mut url = home.clone();
        if let Some((_, format)) = form {
            url.query_pairs_mut().append_pair("format", format);
            if format == "car" {
                url.query_pairs_mut().append_pair("dag-scope", "entity");
            }
        }
        for _ in 0..=MAX_REDIRECTS {
            let http = if redirect::is_home(&home, &url) { &self.home } else { &self.abroad };
            let mut request = http.request(method.clone(), url.clone())?;
            if let Some((accept, _)) = form {
                request = request.header(ACCEPT, accept);
            }
            let answer = http.send(request, 0).await?;
            match answer.status() {
                StatusCode::OK => return Ok(answer),
                StatusCode::NOT_FOUND | StatusCode::GONE => return Err(Miss::Absent),
                StatusCode::BAD_REQUEST | StatusCode::NOT_ACCEPTABLE if form.is_some() => {
                    self.set(|known| known.no_car = true);
                    return Err(Miss::Plain);
                }
                status if status.is_redirection() => {
                    let to = http::location(&answer, &url);
                    let to = to.ok_or_else(|| HttpError::answer("a redirect to nowhere"))?;
                    redirect::check(&home, &url, &to, cid)?;
                    url = to;
                }
                _ => return Err(answer.into_error().await.into()),
            }
        }
        Err(HttpError::answer("too many redirects").into())
    }

    /// Writes down how it went.
    async fn judged<T>(&self, asked: impl Future<Output = Result<T, Miss>>) -> Result<T, Miss> {
        let start = Instant::now();
        let answer = asked.await;
        let now = Instant::now();
        self.set(|known| match answer.as_ref().map_err(Miss::fault) {
            Ok(_) => known.health.succeeded(now - start),
            Err(Some(fault)) => known.health.failed(fault, now, chance()),
            Err(None) => known.health.answered(),
        });
        answer
    }

    fn known(&self) -> Known {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// How long to wait for it before a rival is asked.
    pub(super) fn patience(&self) -> Duration {
        self.known().health.patience()
    }
}

/// The answer as the block of a CID.
async fn block(mut answer: Answer, cid: &Cid) -> Result<Block, Miss> {
    let raw = answer.is_type(RAW);
    let data = match answer.read(MAX_BLOCK_BYTES).await {
        Err(HttpError::TooLarge { limit }) if raw => {
            return Err(BlockError::TooLarge(limit + 1).into());
        }
        data => data?,
    };
    let block = Block::check(*cid.hash(), data);
    // What does not call itself a block may be the file, from a gateway that knows no other form.
    if raw { Ok(block?) } else { block.map_err(|_| Miss::Plain) }
}

/// The answer as a file of at most `limit` bytes, or as the block of its root if it is that.
async fn file_or_block(mut answer: Answer, cid: &Cid, limit: usize) -> Result<Found, Miss> {
    let data = answer.read(limit.saturating_add(FRAME)).await;
    let data = data.map_err(|error| match error {
        HttpError::TooLarge { .. } => HttpError::TooLarge { limit },
        other => other,
    })?;
    let root = *cid;
    let checked = spawn_blocking(move || {
        if is_content(&root, &data) {
            return Some(Found::File(data));
        }
        Block::check(*root.hash(), data).ok().map(Found::Block)
    });
    let found = checked.await.ok().flatten().ok_or(Miss::OtherBytes)?;
    match &found {
        Found::File(data) if data.len() > limit => Err(HttpError::TooLarge { limit }.into()),
        _ => Ok(found),
    }
}

fn chance() -> u8 {
    let mut byte = [0];
    // Without chance all rests end as early as they may.
    let _ = getrandom::fill(&mut byte);
    let [chance] = byte;
    chance
}
