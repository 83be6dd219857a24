//! `pin/add`, `pin/ls`, `pin/rm`.

use std::{collections::BTreeMap, sync::Arc};

use axum::{extract::State, response::Response};
use multibase::Base;
use serde_json::json;

use super::{
    Rpc,
    answer::{self, Params, Refusal, lines, refused},
};
use crate::{
    cid::{self as ids, Cid, Multihash},
    storage::BlockStorage,
    store::BlockStore,
    unixfs::{MAX_DEPTH, ReadError, next_linked},
};

/// Most blocks below one call's pins that are listed or looked at.
const MAX_BLOCKS: usize = 1 << 20;

/// Keeps what lies below roots. All of it must be here.
pub(super) async fn add<S: BlockStore + 'static>(
    State(rpc): State<Arc<Rpc<S>>>,
    params: Params,
) -> Result<Response, Refusal> {
    if !params.flag("recursive", true)? {
        return Err(refused("recursive", "false", "a pin holds all below its root here"));
    }
    let (roots, base) = (params.cids()?, params.base()?);
    let pinned = roots.clone();
    rpc.on_store(move |storage| {
        let mut found = BTreeMap::new();
        pinned.iter().try_for_each(|root| walk(storage, *root, &mut found))?;
        Ok(pinned.iter().try_for_each(|root| storage.store().pin(root))?)
    })
    .await?;
    Ok(pins(&roots, base))
}

/// Takes pins back.
pub(super) async fn rm<S: BlockStore + 'static>(
    State(rpc): State<Arc<Rpc<S>>>,
    params: Params,
) -> Result<Response, Refusal> {
    let (roots, base) = (params.cids()?, params.base()?);
    let removed = roots.clone();
    rpc.on_store(move |storage| {
        // All or none, as far as that can be seen before.
        for root in &removed {
            if !storage.store().is_pinned(root)? {
                return Err(Refusal::NotPinned((*root).into()));
            }
        }
        for root in &removed {
            storage.store().unpin(root)?;
        }
        Ok(())
    })
    .await?;
    Ok(pins(&roots, base))
}

/// Tells what is pinned, and how.
pub(super) async fn ls<S: BlockStore + 'static>(
    State(rpc): State<Arc<Rpc<S>>>,
    params: Params,
) -> Result<Response, Refusal> {
    let kind = Kind::asked(&params)?;
    let (stream, base) = (params.flag("stream", false)?, params.base()?);
    let asked = if params.get("arg").is_some() { params.cids()? } else { Vec::new() };
    let listed = rpc.on_store(move |storage| list(storage, kind, &asked)).await?;
    let name = |cid: &Cid| ids::to_text(cid, base);
    if stream {
        let lines_of = |(cid, how): &(Cid, String)| json!({ "Cid": name(cid), "Type": how });
        return Ok(lines(&listed.iter().map(lines_of).collect::<Vec<_>>()));
    }
    let keys: BTreeMap<_, _> =
        listed.iter().map(|(cid, how)| (name(cid), json!({ "Type": how }))).collect();
    Ok(answer::json(&json!({ "Keys": keys })))
}

fn pins(roots: &[Cid], base: Base) -> Response {
    let pins: Vec<_> = roots.iter().map(|root| ids::to_text(root, base)).collect();
    answer::json(&json!({ "Pins": pins }))
}

/// Which pins are to be listed. There are none of a single block ("direct") here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    All,
    Direct,
    Indirect,
    Recursive,
}

impl Kind {
    fn asked(params: &Params) -> Result<Self, Refusal> {
        match params.get("type") {
            None | Some("all") => Ok(Self::All),
            Some("direct") => Ok(Self::Direct),
            Some("indirect") => Ok(Self::Indirect),
            Some("recursive") => Ok(Self::Recursive),
            Some(other) => Err(refused("type", other, "all, direct, indirect or recursive")),
        }
    }

    fn has(self, kind: Self) -> bool {
        self == Self::All || self == kind
    }
}

/// Pinned roots, and what is kept because it lies below one. With `asked`, each of these must be pinned.
fn list<S: BlockStore + 'static>(
    storage: &BlockStorage<S>,
    kind: Kind,
    asked: &[Cid],
) -> Result<Vec<(Cid, String)>, Refusal> {
    let roots = storage.store().pins()?;
    let is_root = |cid: &Cid| roots.iter().any(|root| root.hash() == cid.hash());
    let mut listed = Vec::new();
    if kind.has(Kind::Recursive) {
        let wanted = roots.iter().filter(|root| asked.is_empty() || holds(asked, root));
        listed.extend(wanted.map(|root| (*root, "recursive".to_owned())));
    }
    let open = asked.iter().any(|cid| !is_root(cid)) || asked.is_empty();
    if kind.has(Kind::Indirect) && open {
        let mut below = BTreeMap::new();
        for root in &roots {
            walk(storage, *root, &mut below)?;
        }
        for (hash, (cid, root)) in below {
            let wanted = asked.is_empty() || asked.iter().any(|cid| *cid.hash() == hash);
            if wanted && !is_root(&cid) {
                // Whoever asks for one block is told why it is kept.
                let how = if asked.is_empty() {
                    "indirect".to_owned()
                } else {
                    format!("indirect through {root}")
                };
                listed.push((cid, how));
            }
        }
    }
    let missing = asked.iter().find(|cid| !listed.iter().any(|(at, _)| at.hash() == cid.hash()));
    missing.map_or(Ok(listed), |cid| Err(Refusal::NotPinned((*cid).into())))
}

fn holds(cids: &[Cid], wanted: &Cid) -> bool {
    cids.iter().any(|cid| cid.hash() == wanted.hash())
}

/// Finds all blocks below a root, the root among them, with the root. Every block must be here.
fn walk<S: BlockStore + 'static>(
    storage: &BlockStorage<S>,
    root: Cid,
    found: &mut BTreeMap<Multihash, (Cid, Cid)>,
) -> Result<(), Refusal> {
    let mut open = vec![(root, 0)];
    while let Some((cid, depth)) = open.pop() {
        if depth > MAX_DEPTH {
            return Err(ReadError::Depth.into());
        }
        if cid.hash().code() == ids::IDENTITY || found.insert(*cid.hash(), (cid, root)).is_some() {
            continue;
        }
        if found.len() > MAX_BLOCKS {
            return Err(Refusal::TooManyBlocks(MAX_BLOCKS));
        }
        // The leaves of newer trees say by their id that nothing is below them; being here is enough.
        if cid.codec() != ids::DAG_PB {
            if storage.store().has(cid.hash())? {
                continue;
            }
            return Err(Refusal::BlockMissing(cid.into()));
        }
        let block = storage.store().get(cid.hash())?.ok_or(Refusal::BlockMissing(cid.into()))?;
        let mut at = 0;
        while let Some(child) = next_linked(block.data(), &mut at) {
            open.push((child, depth + 1));
        }
    }
    Ok(())
}

impl<S: BlockStore + 'static> Rpc<S> {
    /// Works on the store on a thread that may block.
    async fn on_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&BlockStorage<S>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let storage = self.storage.clone();
        tokio::task::spawn_blocking(move || work(&storage)).await?
    }
}
