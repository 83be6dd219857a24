//! Renditions that other accounts make, and the quality menu of a stream: [`RenditionDesk`]. Feature `stake`.
//!
//! A transcoder publishes an ordinary stream of its own account, under the link that [`rendition_link`] makes of the
//! source's name. Its pushes have the sequence numbers and the `src` of the source and add renditions. So a push of
//! theirs that names another `src` is a rendition of something else, and does not count.

mod facts;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use alive_core::{
    AccountName, Quality, Stream, StreamId,
    backend::{SharedStreamStore, StoreError, StreamStore as _},
    timeline,
};
use alive_stake::{
    Admission, Facts, Fault, Promise, Record, RoundSet, SegmentFacts, rendition_link,
};

pub use self::facts::SegmentBytes;
use self::facts::facts;

/// What a desk asks for, and how patient it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RenditionConfig {
    /// How many pushes of the source a transcoder may lack at the end before it counts as not delivering.
    pub grace_pushes: usize,
    /// The renditions that are asked for. Who is elected for one of them and does not deliver it has failed.
    pub qualities: Vec<Quality>,
}

impl Default for RenditionConfig {
    fn default() -> Self {
        Self { grace_pushes: 2, qualities: Quality::TRANSCODED.to_vec() }
    }
}

impl RenditionConfig {
    /// Sets how many pushes of the source a transcoder may lack at the end.
    #[must_use]
    pub fn grace_pushes(self, grace_pushes: usize) -> Self {
        Self { grace_pushes, ..self }
    }

    /// Sets which renditions are asked for.
    #[must_use]
    pub fn qualities(self, qualities: impl IntoIterator<Item = Quality>) -> Self {
        Self { qualities: qualities.into_iter().collect(), ..self }
    }
}

/// Decides which renditions a stream's viewers are offered: the streamer's own, and of other accounts' those that are
/// admitted and delivered. A clone is another handle on the same desk.
///
/// It is as far as what is in the store: whoever drives the ledger of stakes tells it of each round with
/// [`begin_round`](Self::begin_round), and whoever fetches segments can have them [checked](Self::judge).
///
/// ```
/// use alive_core::{backend::SharedStreamStore, memory::MemoryStreamStore};
/// use alive_node::{RenditionConfig, RenditionDesk};
/// use alive_stake::{Admission, Amount};
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let store = SharedStreamStore::new(MemoryStreamStore::default());
/// let admission = Admission::new(Amount::MAX);
/// let desk = RenditionDesk::new(store, admission, RenditionConfig::default());
/// assert!(desk.menu(&"hive/alice/launch".parse()?).await?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct RenditionDesk(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: SharedStreamStore,
    config: RenditionConfig,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    admission: Admission,
    /// How many pushes the source had when somebody's turn at a rendition began, in this round.
    turns: BTreeMap<(StreamId, Quality, AccountName), usize>,
}

/// What a stream's viewers can choose from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Menu {
    /// The stream.
    pub stream: StreamId,
    /// The source first, then renditions, smallest first. What nobody delivers is not there.
    pub items: Vec<MenuItem>,
}

/// One quality of a menu.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MenuItem {
    /// The quality.
    pub quality: Quality,
    /// Whose list has it: the stream itself, or that of a transcoder.
    pub stream: StreamId,
}

impl RenditionDesk {
    /// Renditions for which a turn is remembered. Our own limit.
    const MAX_TURNS: usize = Admission::MAX_RENDITIONS;

    /// Looks at streams in `store`, and shows whom `admission` admits.
    pub fn new(store: SharedStreamStore, admission: Admission, config: RenditionConfig) -> Self {
        let state = Mutex::new(State { admission, turns: BTreeMap::new() });
        Self(Arc::new(Shared { store, config, state }))
    }

    /// Elections are by this round's set and the id of the block in which it began from now on.
    pub fn begin_round(&self, set: RoundSet, block_id: &[u8]) {
        let mut state = self.state();
        if state.admission.begin_round(set, block_id) {
            state.turns.clear();
        }
    }

    /// Changes what the streamer asked for, or reads what is known.
    pub fn with_admission<T>(&self, act: impl FnOnce(&mut Admission) -> T) -> T {
        act(&mut self.state().admission)
    }

    /// How an account has done so far.
    pub fn record(&self, account: &AccountName) -> Record {
        self.state().admission.record(account)
    }

    /// What the viewers of a stream are offered now; `None` when there is no such stream. Who has its turn and lacks more
    /// than the grace allows is struck out on the way.
    ///
    /// # Errors
    /// The store failed.
    pub async fn menu(&self, id: &StreamId) -> Result<Option<Menu>, StoreError> {
        let Some(source) = self.stream(id).await? else { return Ok(None) };
        let own = timeline::renditions(&source);
        let mut items = vec![MenuItem { quality: Quality::Src, stream: id.clone() }];
        for quality in Quality::TRANSCODED {
            let stream = if own.contains(&quality) {
                Some(id.clone())
            } else if self.0.config.qualities.contains(&quality) {
                self.delivered(id, &source, quality).await?
            } else {
                None
            };
            items.extend(stream.map(|stream| MenuItem { quality, stream }));
        }
        Ok(Some(Menu { stream: id.clone(), items }))
    }

    /// Checks what an account delivered against the source: both as segments in order, whole MPEG transport streams or whole
    /// fragments of MP4 with their sections. Who fails is struck out until the next round, and no more in the menu.
    ///
    /// # Errors
    /// What is wrong.
    pub fn judge(
        &self,
        id: &StreamId,
        quality: Quality,
        account: &AccountName,
        source: &[SegmentBytes<'_>],
        rendition: &[SegmentBytes<'_>],
    ) -> Result<(), Fault> {
        let (source, rendition) = (facts(source), facts(rendition));
        let promise = promise(quality, &source);
        let facts = Facts { source: &source, rendition: &rendition, promise: &promise };
        self.state().admission.judge(id, quality, account, facts)
    }

    /// Whose list has a rendition that the streamer does not make: the first that is admitted and delivers.
    async fn delivered(
        &self,
        id: &StreamId,
        source: &Stream,
        quality: Quality,
    ) -> Result<Option<StreamId>, StoreError> {
        let link = rendition_link(id);
        let pushes = source.pushes().count();
        // Each turn of the loop shows somebody, ends, or strikes somebody out, of whom there are only so many.
        let mut passed = Vec::new();
        loop {
            let admitted = self.state().admission.admitted(id, quality);
            let Some(account) = admitted.into_iter().find(|account| !passed.contains(account))
            else {
                return Ok(None);
            };
            let theirs = StreamId::new(id.network.clone(), account.clone(), link.clone());
            let delivery = match self.stream(&theirs).await? {
                Some(stream) => delivery(source, &stream, quality),
                None => None,
            };
            let mut state = self.state();
            let before = state.begin_turn(id, quality, &account, pushes);
            // What was pushed before its turn is not asked for.
            let from = delivery.map_or(0, |last| last + 1).max(before);
            if pushes.saturating_sub(from) > self.0.config.grace_pushes {
                state.admission.strike(id, quality, &account, &Fault::Missing);
            } else if delivery.is_some() {
                return Ok(Some(theirs));
            }
            passed.push(account);
        }
    }

    async fn stream(&self, id: &StreamId) -> Result<Option<Stream>, StoreError> {
        let stored = self.0.store.stream(id).await?;
        Ok(stored.map(|stored| Stream::restore(stored.info, stored.pushes)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What it guards is whole between any two calls.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// How many pushes the source had when this account's turn began; it begins now if it had none.
    fn begin_turn(
        &mut self,
        id: &StreamId,
        quality: Quality,
        account: &AccountName,
        pushes: usize,
    ) -> usize {
        let turn = (id.clone(), quality, account.clone());
        if let Some(before) = self.turns.get(&turn) {
            return *before;
        }
        if self.turns.len() >= RenditionDesk::MAX_TURNS {
            // That one's turn begins anew when its menu is asked for again.
            self.turns.pop_first();
        }
        self.turns.insert(turn, pushes);
        pushes
    }
}

/// The place of the source's last push that this stream has a rendition of; `None` when it has none, or when it says of
/// another content that it is the source's.
fn delivery(source: &Stream, theirs: &Stream, quality: Quality) -> Option<usize> {
    let mut last = None;
    for (place, (seq, pushed)) in source.pushes().enumerate() {
        let Some(other) = theirs.pushed(seq) else { continue };
        if other.src.canonical() != pushed.src.canonical() {
            return None;
        }
        if other.content(quality).is_some() {
            last = Some(place);
        }
    }
    last
}

/// The lines of the quality, and the codecs of the source.
fn promise(quality: Quality, source: &[SegmentFacts]) -> Promise {
    let codecs = source.iter().find_map(|facts| facts.codecs.as_deref()).unwrap_or_default();
    let families = codecs.split(',').filter_map(|codec| codec.split('.').next());
    let families: Vec<_> = families.filter(|family| !family.is_empty()).collect();
    match quality.as_str().parse() {
        Ok(lines) => Promise::new(lines).codecs(families),
        Err(_) => Promise::default().codecs(families),
    }
}
