//! Steps of an indexer, each within one transaction.

use std::{collections::HashMap, sync::Arc};

use alive_core::{
    AccountName, BlockChanges, Change, ContentId, GatewayUrl, LiveKey, LiveLayer, Network,
    PushChange, Pushed, Quality, SegmentDuration, Seq, StreamInfo, StreamKey, Timestamp,
    backend::BlockRef,
};
use rusqlite::{OptionalExtension as _, Transaction};

use super::Failure;
use crate::store::sections;

pub(super) fn apply(
    transaction: &Transaction<'_>,
    network: &Network,
    blocks: &[BlockChanges],
    irreversible: u64,
) -> Result<(), Failure> {
    let mut writer = Writer::new(transaction, network)?;
    writer.follow(blocks)?;
    let irreversible = writer.irreversible.max(irreversible);
    for block in blocks {
        for account in &block.new_accounts {
            writer.account(account)?;
        }
        for change in &block.changes {
            writer.put(change)?;
        }
        if block.at.num > irreversible {
            writer.keep_undo(block)?;
        }
    }
    if let Some(last) = blocks.last() {
        writer.last = Some(&last.at);
    }
    writer.irreversible = irreversible;
    writer.drop_undo()?;
    writer.finish()
}

pub(super) fn undo(
    transaction: &Transaction<'_>,
    network: &Network,
    block: &BlockChanges,
) -> Result<(), Failure> {
    let mut writer = Writer::new(transaction, network)?;
    writer.take_undo(block)?;
    for change in &block.changes {
        writer.put(change)?;
    }
    for account in &block.new_accounts {
        writer.forget(account)?;
    }
    writer.last = Some(&block.previous);
    writer.finish()
}

/// Follows changes, remembering rows, so that a stream that changes a thousand times is looked up and updated once.
struct Writer<'t> {
    transaction: &'t Transaction<'t>,
    network: i64,
    /// Set when the cursor moves.
    last: Option<&'t BlockRef>,
    before: Option<(u64, String)>,
    irreversible: u64,
    created: i64,
    accounts: HashMap<&'t AccountName, i64>,
    streams: HashMap<&'t StreamKey, Row<'t>>,
}

/// A stream's row, and its state once all changes are in.
struct Row<'t> {
    id: i64,
    info: &'t StreamInfo,
}

impl<'t> Writer<'t> {
    fn new(transaction: &'t Transaction<'t>, network: &Network) -> Result<Self, Failure> {
        transaction
            .prepare_cached(
                "INSERT INTO networks (name, created, irreversible) VALUES (?, 0, 0) ON CONFLICT DO NOTHING",
            )?
            .execute([network.as_str()])?;
        let mut statement = transaction.prepare_cached(
            "SELECT id, last_num, last_id, irreversible FROM networks WHERE name = ?",
        )?;
        let row = statement.query_row([network.as_str()], |row| {
            let num: Option<i64> = row.get(1)?;
            let id: Option<String> = row.get(2)?;
            Ok((row.get(0)?, num.map(i64::cast_unsigned).zip(id), row.get::<_, i64>(3)?))
        });
        let (network, before, irreversible) = row?;
        Ok(Self {
            transaction,
            network,
            last: None,
            before,
            irreversible: irreversible.cast_unsigned(),
            created: 0,
            accounts: HashMap::new(),
            streams: HashMap::new(),
        })
    }

    /// Checks that the blocks follow the last one and each other.
    fn follow(&self, blocks: &[BlockChanges]) -> Result<(), Failure> {
        let mut last = self.before.as_ref().map(|(num, id)| (*num, id.as_str()));
        for block in blocks {
            let got = block.at.num;
            let previous = (block.previous.num, block.previous.id.as_str());
            // SQLite counts to 2^63 only; no chain does.
            let fits = i64::try_from(got).is_ok();
            if !fits || last.is_some_and(|last| last != previous) {
                return Err(Failure::Order { got });
            }
            last = Some((got, block.at.id.as_str()));
        }
        Ok(())
    }

    fn put(&mut self, change: &'t Change) -> Result<(), Failure> {
        let account = self.account(&change.key.account)?;
        let created = i64::from(change.before.is_none()) - i64::from(change.after.is_none());
        if created != 0 {
            self.created += created;
            self.transaction
                .prepare_cached("UPDATE accounts SET created = max(created + ?, 0) WHERE id = ?")?
                .execute([created, account])?;
        }
        let Some(info) = &change.after else { return self.remove(account, &change.key) };
        let stream = self.stream(account, &change.key, info)?;
        match &change.push {
            Some(PushChange { seq, after: Some(pushed), .. }) => self.push(stream, *seq, pushed),
            Some(PushChange { seq, after: None, .. }) => {
                self.transaction
                    .prepare_cached("DELETE FROM pushes WHERE stream = ? AND seq = ?")?
                    .execute((stream, seq.as_u16()))?;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// An account's row, made when it is absent.
    fn account(&mut self, name: &'t AccountName) -> Result<i64, Failure> {
        if let Some(&row) = self.accounts.get(name) {
            return Ok(row);
        }
        let mut select = self
            .transaction
            .prepare_cached("SELECT id FROM accounts WHERE network = ? AND name = ?")?;
        let mut insert = self.transaction.prepare_cached(
            "INSERT INTO accounts (network, name, created) VALUES (?, ?, 0) RETURNING id",
        )?;
        let names = (self.network, name.as_str());
        let row = match select.query_row(names, |row| row.get(0)).optional()? {
            Some(row) => row,
            None => insert.query_row(names, |row| row.get(0))?,
        };
        self.accounts.insert(name, row);
        Ok(row)
    }

    /// A stream's row, made when it is absent. Its state is written at the end.
    fn stream(
        &mut self,
        account: i64,
        key: &'t StreamKey,
        info: &'t StreamInfo,
    ) -> Result<i64, Failure> {
        if let Some(row) = self.streams.get_mut(key) {
            row.info = info;
            return Ok(row.id);
        }
        let mut select = self
            .transaction
            .prepare_cached("SELECT id FROM streams WHERE account = ? AND link = ?")?;
        let found = select.query_row((account, key.link.as_str()), |row| row.get(0)).optional()?;
        let id = match found {
            Some(id) => id,
            None => self.insert_stream(account, key, info)?,
        };
        self.streams.insert(key, Row { id, info });
        Ok(id)
    }

    fn insert_stream(
        &self,
        account: i64,
        key: &StreamKey,
        info: &StreamInfo,
    ) -> Result<i64, Failure> {
        let mut insert = self.transaction.prepare_cached(
            "INSERT INTO streams (network, account, link, number, network_number, created, storage, last_updated, ended)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0) RETURNING id",
        )?;
        let values = (
            self.network,
            account,
            key.link.as_str(),
            info.number,
            signed(info.id),
            info.created.as_unix_ms(),
            info.settings.storage.to_string(),
            info.last_updated.as_unix_ms(),
        );
        Ok(insert.query_row(values, |row| row.get(0))?)
    }

    fn remove(&mut self, account: i64, key: &StreamKey) -> Result<(), Failure> {
        self.streams.remove(key);
        let names = (account, key.link.as_str());
        self.transaction
            .prepare_cached(
                "DELETE FROM pushes WHERE stream = (SELECT id FROM streams WHERE account = ? AND link = ?)",
            )?
            .execute(names)?;
        self.transaction
            .prepare_cached("DELETE FROM streams WHERE account = ? AND link = ?")?
            .execute(names)?;
        Ok(())
    }

    fn push(&self, stream: i64, seq: Seq, pushed: &Pushed) -> Result<(), Failure> {
        let mut upsert = self.transaction.prepare_cached(
            "INSERT OR REPLACE INTO pushes
                (stream, seq, src, len, discontinuity, p240, p480, p720, p1080, sections)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        let content = |quality| pushed.content(quality).map(ContentId::as_str);
        upsert.execute((
            stream,
            seq.as_u16(),
            pushed.src.as_str(),
            pushed.len.map(SegmentDuration::as_micros),
            pushed.discontinuity,
            content(Quality::P240),
            content(Quality::P480),
            content(Quality::P720),
            content(Quality::P1080),
            sections::to_text(&pushed.renditions),
        ))?;
        Ok(())
    }

    fn forget(&mut self, account: &AccountName) -> Result<(), Failure> {
        self.accounts.remove(account);
        self.transaction
            .prepare_cached("DELETE FROM accounts WHERE network = ? AND name = ?")?
            .execute((self.network, account.as_str()))?;
        Ok(())
    }

    fn keep_undo(&self, block: &BlockChanges) -> Result<(), Failure> {
        let json = serde_json::to_vec(block)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        self.transaction
            .prepare_cached("INSERT INTO undo (network, num, changes) VALUES (?, ?, ?)")?
            .execute((self.network, signed(block.at.num), json))?;
        Ok(())
    }

    fn drop_undo(&self) -> Result<(), Failure> {
        self.transaction
            .prepare_cached("DELETE FROM undo WHERE network = ? AND num <= ?")?
            .execute([self.network, signed(self.irreversible)])?;
        Ok(())
    }

    /// Removes the undo data of the last block, which must be this one.
    fn take_undo(&self, block: &BlockChanges) -> Result<(), Failure> {
        let got = block.at.num;
        let is_last =
            self.before.as_ref().is_some_and(|(num, id)| *num == got && id == block.at.id.as_str());
        let mut delete =
            self.transaction.prepare_cached("DELETE FROM undo WHERE network = ? AND num = ?")?;
        if is_last && delete.execute([self.network, signed(got)])? == 1 {
            return Ok(());
        }
        Err(Failure::Order { got })
    }

    /// Writes the states of the streams, and the cursor.
    fn finish(self) -> Result<(), Failure> {
        for row in self.streams.values() {
            self.update_stream(row)?;
        }
        self.transaction
            .prepare_cached(
                "UPDATE networks SET created = max(created + ?, 0), irreversible = ? WHERE id = ?",
            )?
            .execute([self.created, signed(self.irreversible), self.network])?;
        if let Some(last) = self.last {
            self.transaction
                .prepare_cached("UPDATE networks SET last_num = ?, last_id = ? WHERE id = ?")?
                .execute((signed(last.num), last.id.as_str(), self.network))?;
        }
        Ok(())
    }

    /// Everything but what is fixed at creation.
    fn update_stream(&self, Row { id, info }: &Row<'_>) -> Result<(), Failure> {
        let mut update = self.transaction.prepare_cached(
            "UPDATE streams SET last_updated = ?, first_streamed = ?, last_streamed = ?, finalized = ?, head = ?,
                ended = ?, l2 = ?, live_key = ?, gateway = ?, also = ? WHERE id = ?",
        )?;
        let settings = Arc::clone(&info.settings);
        update.execute((
            info.last_updated.as_unix_ms(),
            info.first_streamed.map(Timestamp::as_unix_ms),
            info.last_streamed.map(Timestamp::as_unix_ms),
            info.finalized.map(Seq::as_u16),
            info.head.map(Seq::as_u16),
            info.ended,
            settings.l2.map(LiveLayer::as_str),
            settings.live_key.as_ref().map(LiveKey::as_str),
            settings.gateway.as_ref().map(GatewayUrl::as_str),
            settings.also.to_string(),
            id,
        ))?;
        Ok(())
    }
}

/// Block numbers are checked when they come; counts stay far below.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
