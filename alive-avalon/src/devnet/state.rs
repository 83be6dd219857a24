//! What a development chain knows after its blocks: [`State`].

use alive_devnet::Journal;

use crate::{
    account::Account,
    bandwidth::Growing,
    block::Block,
    digest::Hash,
    json_text::utf16_len,
    playlist::{PLAYLIST_POP, Playlist, PlaylistTx},
    transaction::Parts,
    validate::{ChainState, MASTER, Moment, Refusal, TX_EXPIRATION_MS, Valid, validate},
};

use super::{accounts::Record, posts::Post, rules};

/// Accounts, playlists, posts and transactions, each change with the block that made it.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) accounts: Journal<Box<str>, Stored>,
    pub(super) playlists: Journal<String, Playlist>,
    pub(super) posts: Journal<String, Post>,
    /// The block and own time of each transaction.
    pub(super) transactions: Journal<Hash, (u64, i64)>,
    /// Time of the last block.
    pub(super) head_ms: i64,
}

/// An account as it is kept.
pub(super) type Stored = Record;

impl State {
    /// Undoes all blocks after this one; `head_ms` is its time.
    pub(super) fn undo_after(&mut self, block: u64, head_ms: i64) {
        self.accounts.undo_after(block);
        self.playlists.undo_after(block);
        self.posts.undo_after(block);
        self.transactions.undo_after(block);
        self.head_ms = head_ms;
    }

    /// Forgets how to undo blocks up to this one.
    pub(super) fn settle(&mut self, block: u64) {
        self.accounts.settle(block);
        self.playlists.settle(block);
        self.posts.settle(block);
        self.transactions.settle(block);
    }

    /// Judges a transaction. A pop of a missing playlist, which would crash a real node later, is refused here.
    pub(super) fn judge(&self, transaction: &Parts<'_>, now_ms: i64) -> Result<Valid, Refusal> {
        let valid = validate(transaction, self, Moment { now_ms, head_ms: self.head_ms })?;
        if valid.kind == i64::from(PLAYLIST_POP) {
            let link = transaction.data.and_then(|data| data.member("link")?.to_text());
            let known = link.and_then(|link| self.playlist(&valid.sender, &link));
            known.ok_or(crate::PlaylistRefusal::Missing)?;
        }
        Ok(valid)
    }

    /// Applies all transactions of a block, which need not be judged again.
    pub(super) fn apply(&mut self, block: &Block) {
        for transaction in block.transactions() {
            self.apply_transaction(block, &transaction);
        }
        self.head_ms = block.time_ms();
    }

    fn apply_transaction(&mut self, block: &Block, transaction: &Parts<'_>) {
        let sender = transaction.sender.and_then(crate::JsonRef::to_text).unwrap_or_default();
        let (Some(kind), Some(data)) = (transaction.kind, transaction.data) else { return };
        let (num, at_ms) = (block.num(), block.time_ms());
        let known = (num, transaction.ts_ms.unwrap_or_default());
        self.transactions.set(num, transaction.computed_hash(), known);
        self.charge(num, at_ms, &sender, utf16_len(transaction.whole.as_str()));
        match PlaylistTx::read(kind, data) {
            Some(Ok(tx)) => {
                let key = format!("{sender}/{}", tx.link().unwrap_or_default());
                let mut playlist = self.playlists.get(&key).cloned();
                if tx.apply(&mut playlist, at_ms).is_ok()
                    && let Some(playlist) = playlist
                {
                    self.playlists.set(num, key, playlist);
                }
            }
            Some(Err(_)) => {}
            None => rules::apply(self, num, at_ms, kind, &sender, data),
        }
    }

    /// Takes the price of a transaction.
    fn charge(&mut self, block: u64, at_ms: i64, sender: &str, cost: usize) {
        let Some(record) = self.accounts.get(sender) else { return };
        let Some(available) = record.account.bandwidth_at(at_ms) else { return };
        if sender == MASTER {
            return;
        }
        let mut record = record.clone();
        #[expect(clippy::cast_precision_loss, reason = "a transaction is far shorter than 2^53")]
        let value = (available.value - cost as f64).max(0.0);
        record.account.bandwidth = Some(Growing { value, ..available });
        self.accounts.set(block, sender.into(), record);
    }
}

impl ChainState for State {
    fn account(&self, name: &str) -> Option<&Account> {
        self.accounts.get(name).map(|record| &record.account)
    }

    fn playlist(&self, sender: &str, link: &str) -> Option<&Playlist> {
        self.playlists.get(&format!("{sender}/{link}"))
    }

    fn is_recent(&self, hash: &Hash) -> bool {
        let known = self.transactions.get(hash);
        known.is_some_and(|(_, ts_ms)| ts_ms + TX_EXPIRATION_MS >= self.head_ms)
    }

    fn check_other(&self, kind: i64, sender: &str, transaction: &Parts<'_>) -> Result<(), String> {
        let data = transaction.data.ok_or("invalid tx data")?;
        rules::check(self, kind, sender, data)
    }
}
