//! What broadcaster, block source and account keys ask a node, typed: [`ChainNode`].

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{
    account::Account,
    block::{Block, BlockHashing},
    json_ref::JsonRef,
    json_text::JsonText,
    playlist::Playlist,
    transaction::{Parts, SignedTransaction},
};

use super::{
    client::{NodeAnswer, RpcClient},
    error::RpcError,
};

/// Most pages of a history that are looked through.
const MAX_PAGES: usize = 200;

/// What a node says whose pool is full. Source of this and the next: `spec/avalon.md`, section 9.
const POOL_IS_FULL: &str = "Internal Server Error";
/// What a node says to a transaction that is in a block.
const ALREADY_THERE: &str = "transaction already in chain";

/// The nodes of a chain.
#[derive(Clone, Debug)]
pub(super) struct ChainNode {
    pub(super) client: RpcClient,
}

/// What a node said to a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It has it, waiting or in a block.
    Taken,
    /// It cannot take any now.
    Busy,
    /// It does not take it, in these words.
    Refused(Box<str>),
}

impl ChainNode {
    /// The number of the head block.
    pub(super) async fn count(&self) -> Result<u64, RpcError> {
        self.client.get("/count", read_count).await
    }

    /// A block whose hash is the one that it says; `None` if the node does not have it.
    pub(super) async fn block(&self, num: u64) -> Result<Option<Block>, RpcError> {
        let read = |answer: &NodeAnswer| read_block(answer, num);
        self.client.get(&format!("/block/{num}"), read).await
    }

    pub(super) async fn account(&self, name: &str) -> Result<Option<Account>, RpcError> {
        let read = |answer: &NodeAnswer| {
            let Some(json) = answer.found()? else { return Ok(None) };
            let account = Account::read(json.root()).map_err(|_| RpcError::Answer("an account"))?;
            let same = *account.name == *name;
            same.then_some(Some(account)).ok_or(RpcError::Answer("the account asked for"))
        };
        self.client.get(&format!("/account/{}", encoded(name)), read).await
    }

    pub(super) async fn playlist(
        &self,
        author: &str,
        link: &str,
    ) -> Result<Option<Playlist>, RpcError> {
        let read = |answer: &NodeAnswer| {
            let Some(json) = answer.found()? else { return Ok(None) };
            Playlist::read(json.root()).map(Some).ok_or(RpcError::Answer("a playlist"))
        };
        self.client.get(&format!("/playlist/{}/{}", encoded(author), encoded(link)), read).await
    }

    /// The json of a playlist by its last transaction of type 25, from the history of its author: nodes without tx
    /// history give whole blocks, others transactions.
    pub(super) async fn json_in_history(
        &self,
        author: &str,
        link: &str,
    ) -> Result<Option<JsonText>, RpcError> {
        let mut last = 0;
        for _ in 0..MAX_PAGES {
            let read = |answer: &NodeAnswer| answer.found()?.ok_or(RpcError::Answer("a history"));
            let page =
                self.client.get(&format!("/history/{}/{last}", encoded(author)), read).await?;
            let mut oldest = None;
            for item in page.root().items() {
                let block = item.member("includedInBlock").or_else(|| item.member("_id"));
                oldest = block.and_then(JsonRef::to_safe_integer);
                let mut mine: Vec<_> = match item.member("txs") {
                    Some(txs) => txs.items().map(Parts::of).collect(),
                    None => vec![Parts::of(item)],
                };
                mine.reverse();
                if let Some(json) = mine.iter().find_map(|parts| json_of(parts, author, link)) {
                    return Ok(Some(json));
                }
            }
            match oldest {
                Some(oldest) if oldest > 1 && oldest != last => last = oldest,
                _ => break,
            }
        }
        Ok(None)
    }

    /// Gives a transaction to a node; also tells whether another node may have it.
    pub(super) async fn transact(
        &self,
        transaction: &SignedTransaction,
    ) -> Result<(Said, bool), RpcError> {
        let posted = self.client.post("/transact", transaction.as_text()).await;
        let (answer, elsewhere) = match posted {
            Err(RpcError::Status { start, .. }) if start.to_string().contains(POOL_IS_FULL) => {
                return Ok((Said::Busy, self.client.node_count() > 1));
            }
            posted => posted?,
        };
        if answer.status == reqwest::StatusCode::OK {
            // The number of the head block; anything else was not said by a node.
            let is_count = answer.body.trim().parse::<u64>().is_ok();
            let said = is_count.then_some((Said::Taken, elsewhere));
            return said.ok_or(RpcError::Answer("the number of the head block"));
        }
        match answer.refusal() {
            RpcError::Refused(words) if &*words == ALREADY_THERE => Ok((Said::Taken, elsewhere)),
            RpcError::Refused(words) => Ok((Said::Refused(words), elsewhere)),
            other => Err(other),
        }
    }
}

pub(super) fn read_count(answer: &NodeAnswer) -> Result<u64, RpcError> {
    let json = answer.found()?;
    let count = json.as_ref().and_then(|json| json.root().member("count")?.to_safe_integer());
    let count = count.and_then(|count| u64::try_from(count).ok());
    count.ok_or(RpcError::Answer("the number of the head block"))
}

pub(super) fn read_block(answer: &NodeAnswer, num: u64) -> Result<Option<Block>, RpcError> {
    let Some(json) = answer.found()? else { return Ok(None) };
    let block = Block::from_text(json).map_err(|_| RpcError::Answer("a block"))?;
    if block.num() != num {
        return Err(RpcError::Answer("the block asked for"));
    }
    let hash = block.check_hash(BlockHashing::at(num));
    hash.map_err(|_| RpcError::Answer("a block with the hash that it says"))?;
    Ok(Some(block))
}

/// The json that a transaction gives to this playlist.
fn json_of(parts: &Parts<'_>, author: &str, link: &str) -> Option<JsonText> {
    let is_it = parts.kind == Some(crate::PLAYLIST_JSON.into())
        && parts.sender.and_then(JsonRef::to_text).is_some_and(|sender| sender == author);
    let data = parts.data.filter(|_| is_it)?;
    let same = data.member("link").and_then(JsonRef::to_text).is_some_and(|known| known == link);
    let hash = parts.hash?.is_text(&Parts::of(parts.whole).computed_hash().to_string());
    // A transaction of a history carries its block's number, which its hash does not cover.
    let bare = bare_hash(parts);
    let json = data.member("json").filter(|_| same && (hash || bare))?;
    Some(JsonText::of_canonical(json.as_str()))
}

fn bare_hash(parts: &Parts<'_>) -> bool {
    let text = crate::transaction::pieces(parts.whole, &["hash", "signature", "includedInBlock"]);
    let hash = crate::Hash::of(text.concat()).to_string();
    parts.hash.is_some_and(|given| given.is_text(&hash))
}

fn encoded(part: &str) -> String {
    utf8_percent_encode(part, NON_ALPHANUMERIC).to_string()
}
