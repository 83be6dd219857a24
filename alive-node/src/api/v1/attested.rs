//! What each chain says of a stream, and what of that a fork could still take back: [`Attested`].

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use alive_core::{
    BlockChanges, Network, Seq, Stream, StreamId, StreamKey,
    backend::{BlockRef, SharedStreamStore, StoreError, StreamStore as _},
};
use serde::Serialize;
use utoipa::ToSchema;

/// What one chain says of a stream.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct Attestation {
    /// The chain.
    network: String,
    /// The stream's full name there, `network/author/link`.
    stream: String,
    /// The stream's place among all of the chain, from 1 in order of creation.
    number: u64,
    /// How many pushes the chain has.
    pushes: usize,
    /// How many of them stand in blocks that a fork could still take back.
    reversible_pushes: usize,
    /// End of the gap-free run of pushes there.
    #[schema(maximum = 17280)]
    finalized: Option<u16>,
    /// Highest number of a push there.
    #[schema(maximum = 17280)]
    head: Option<u16>,
    /// Whether the chain says that it has ended.
    ended: bool,
    /// The last block of the chain that the node has indexed.
    last_block: u64,
    /// The last of them that no fork can take back.
    irreversible_block: u64,
}

/// The push of one chain that attests a segment.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct SegmentAttestation {
    /// The chain.
    network: String,
    /// The push, which is the segment itself or a chunk that lists it.
    #[schema(value_type = u64, maximum = 17280)]
    seq: Seq,
    /// Whether no fork can take that push back.
    irreversible: bool,
    /// The block of the push while a fork could take it back; the index keeps it no longer.
    block: Option<u64>,
}

impl SegmentAttestation {
    /// The chain and the push.
    pub(super) fn push(&self) -> (String, Seq) {
        (self.network.clone(), self.seq)
    }
}

/// What the chains say, and how far it stands. A clone is another handle.
#[derive(Clone, Debug)]
pub(in crate::api) struct Attested {
    store: SharedStreamStore,
    networks: Arc<Mutex<HashMap<Network, Arc<Reversible>>>>,
}

/// What a fork could still take back on one network.
#[derive(Debug)]
struct Reversible {
    last: BlockRef,
    irreversible: u64,
    /// The last block that changed a push.
    pushes: HashMap<Arc<StreamKey>, HashMap<Seq, u64>>,
}

impl Attested {
    pub(in crate::api) fn new(store: SharedStreamStore) -> Self {
        Self { store, networks: Arc::default() }
    }

    /// What a chain says of a stream; `None` when the node has read nothing of that chain.
    pub(in crate::api) async fn stream(
        &self,
        id: &StreamId,
        stream: &Stream,
    ) -> Result<Option<Attestation>, StoreError> {
        let Some(reversible) = self.reversible(&id.network).await? else { return Ok(None) };
        let info = stream.info();
        let standing = |(seq, _): &(Seq, _)| stream.pushed(*seq).is_some();
        let open = reversible.of(id).into_iter().flatten().map(|(seq, block)| (*seq, *block));
        Ok(Some(Attestation {
            network: id.network.to_string(),
            stream: id.to_string(),
            number: info.id,
            pushes: stream.pushes().count(),
            reversible_pushes: open.filter(standing).count(),
            finalized: info.finalized.map(Seq::as_u16),
            head: info.head.map(Seq::as_u16),
            ended: info.ended,
            last_block: reversible.last.num,
            irreversible_block: reversible.irreversible,
        }))
    }

    /// The pushes that attest segments, one list for each, told by the names that the stream has.
    pub(in crate::api) async fn segments(
        &self,
        names: &[StreamId],
        attested: Vec<Vec<(Network, Seq)>>,
    ) -> Result<Vec<Vec<SegmentAttestation>>, StoreError> {
        let mut known = HashMap::new();
        for name in names {
            known.insert(&name.network, (name, self.reversible(&name.network).await?));
        }
        let tell = |(network, seq): (Network, Seq)| {
            let told = known.get(&network).and_then(|(id, known)| Some((id, known.as_ref()?)));
            let block = told.and_then(|(id, known)| known.of(id)?.get(&seq)).copied();
            let irreversible = told.is_some() && block.is_none();
            SegmentAttestation { network: network.to_string(), seq, irreversible, block }
        };
        Ok(attested.into_iter().map(|of| of.into_iter().map(tell).collect()).collect())
    }

    /// What is known of a network, read anew only when its index has moved.
    async fn reversible(&self, network: &Network) -> Result<Option<Arc<Reversible>>, StoreError> {
        let Some(cursor) = self.store.cursor(network).await? else { return Ok(None) };
        let known = self.lock().get(network).filter(|known| known.last == cursor.last).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let blocks = self.store.reversible(network).await?;
        let read = Arc::new(Reversible::new(cursor.last, &blocks));
        self.lock().insert(network.clone(), Arc::clone(&read));
        Ok(Some(read))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Network, Arc<Reversible>>> {
        // What it guards is whole between any two calls.
        self.networks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reversible {
    /// `blocks` are those that may be undone, oldest first.
    fn new(last: BlockRef, blocks: &[BlockChanges]) -> Self {
        let irreversible = blocks.first().map_or(last.num, |first| first.previous.num);
        let mut pushes: HashMap<_, HashMap<_, _>> = HashMap::new();
        for block in blocks {
            for change in &block.changes {
                if let Some(push) = &change.push {
                    let of = pushes.entry(Arc::clone(&change.key)).or_default();
                    of.insert(push.seq, block.at.num);
                }
            }
        }
        Self { last, irreversible, pushes }
    }

    /// The pushes of a stream that may be taken back, and their blocks.
    fn of(&self, id: &StreamId) -> Option<&HashMap<Seq, u64>> {
        let key = StreamKey { account: id.account.clone(), link: id.link.clone() };
        self.pushes.get(&key)
    }
}
