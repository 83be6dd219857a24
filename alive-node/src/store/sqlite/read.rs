//! Questions to the file.

use std::{str::FromStr, sync::Arc};

use alive_core::{
    AccountName, BlockChanges, ContentId, Network, Pushed, Quality, Renditions, SegmentDuration,
    Seq, Settings, StreamId, StreamInfo, Timestamp,
    backend::{BlockRef, Cause, Cursor, StoredAccount, StoredStream},
};
use rusqlite::{
    OptionalExtension as _, Row, Transaction,
    types::{FromSqlError, FromSqlResult, ValueRef},
};
use serde::{Deserialize, de::value::BorrowedStrDeserializer};

use super::Failure;
use crate::store::sections;

pub(super) fn cursor(
    transaction: &Transaction<'_>,
    network: &Network,
) -> Result<Option<Cursor>, Failure> {
    let mut statement = transaction.prepare_cached(
        "SELECT last_num, last_id, created FROM networks WHERE name = ? AND last_num IS NOT NULL",
    )?;
    let cursor = statement.query_row([network.as_str()], |row| {
        let last = BlockRef { num: unsigned(row, 0)?, id: text(row, 1)? };
        Ok(Cursor { last, created: unsigned(row, 2)? })
    });
    Ok(cursor.optional()?)
}

pub(super) fn reversible(
    transaction: &Transaction<'_>,
    network: &Network,
) -> Result<Vec<BlockChanges>, Failure> {
    let mut statement = transaction.prepare_cached(
        "SELECT changes FROM undo WHERE network = (SELECT id FROM networks WHERE name = ?) ORDER BY num",
    )?;
    let blocks = statement.query_map([network.as_str()], |row| {
        let json = row.get_ref(0)?.as_blob()?;
        serde_json::from_slice(json).map_err(|error| unreadable(0, error.into()))
    })?;
    Ok(blocks.collect::<Result<_, _>>()?)
}

pub(super) fn account(
    transaction: &Transaction<'_>,
    network: &Network,
    account: &AccountName,
) -> Result<Option<StoredAccount>, Failure> {
    let mut statement = transaction.prepare_cached(
        "SELECT a.created FROM accounts a JOIN networks n ON n.id = a.network WHERE n.name = ? AND a.name = ?",
    )?;
    let account = statement.query_row([network.as_str(), account.as_str()], |row| {
        Ok(StoredAccount { created: row.get(0)? })
    });
    Ok(account.optional()?)
}

pub(super) fn stream(
    transaction: &Transaction<'_>,
    id: &StreamId,
) -> Result<Option<StoredStream>, Failure> {
    let mut statement = transaction.prepare_cached(
        "SELECT s.number, s.network_number, s.created, s.last_updated, s.first_streamed, s.last_streamed, s.finalized,
            s.head, s.ended, s.storage, s.l2, s.live_key, s.gateway, s.also, s.id
        FROM streams s JOIN accounts a ON a.id = s.account JOIN networks n ON n.id = a.network
        WHERE n.name = ? AND a.name = ? AND s.link = ?",
    )?;
    let names = [id.network.as_str(), id.account.as_str(), id.link.as_str()];
    let found = statement.query_row(names, |row| Ok((info(row)?, row.get::<_, i64>(14)?)));
    let Some((info, row)) = found.optional()? else { return Ok(None) };
    let mut statement = transaction.prepare_cached(
        "SELECT seq, src, len, discontinuity, p240, p480, p720, p1080, sections
        FROM pushes WHERE stream = ? ORDER BY seq",
    )?;
    let pushes = statement.query_map([row], pushed)?;
    Ok(Some(StoredStream { info, pushes: pushes.collect::<Result<_, _>>()? }))
}

/// The state that begins at the first column, in the order of [`stream`].
pub(super) fn info(row: &Row<'_>) -> rusqlite::Result<StreamInfo> {
    let settings = Settings {
        storage: named(9, row.get_ref(9)?)?,
        l2: match row.get_ref(10)? {
            ValueRef::Null => None,
            name => Some(named(10, name)?),
        },
        live_key: maybe_text(row, 11)?,
        gateway: maybe_text(row, 12)?,
        also: named(13, row.get_ref(13)?)?,
    };
    Ok(StreamInfo {
        number: row.get(0)?,
        id: unsigned(row, 1)?,
        created: time(row.get(2)?),
        last_updated: time(row.get(3)?),
        first_streamed: row.get::<_, Option<_>>(4)?.map(time),
        last_streamed: row.get::<_, Option<_>>(5)?.map(time),
        finalized: row.get::<_, Option<u16>>(6)?.map(|at| seq(6, at)).transpose()?,
        head: row.get::<_, Option<u16>>(7)?.map(|at| seq(7, at)).transpose()?,
        ended: row.get(8)?,
        settings: Arc::new(settings),
    })
}

fn pushed(row: &Row<'_>) -> rusqlite::Result<(Seq, Pushed)> {
    let length =
        |micros| SegmentDuration::from_micros(micros).map_err(|error| unreadable(2, error.into()));
    let mut renditions = Renditions::default();
    for (column, quality) in (4..).zip(Quality::TRANSCODED) {
        if let Some(content) = maybe_text::<ContentId>(row, column)? {
            renditions.insert(quality, content);
        }
    }
    if let Some(text) =
        row.get_ref(8)?.as_str_or_null().map_err(|error| unreadable(8, error.into()))?
    {
        sections::add(&mut renditions, text).map_err(|error| unreadable(8, error.into()))?;
    }
    let pushed = Pushed {
        src: text(row, 1)?,
        len: row.get::<_, Option<_>>(2)?.map(length).transpose()?,
        discontinuity: row.get(3)?,
        renditions,
    };
    Ok((seq(0, row.get(0)?)?, pushed))
}

fn time(ms: i64) -> Timestamp {
    Timestamp::from_unix_ms(ms)
}

fn seq(column: usize, number: u16) -> rusqlite::Result<Seq> {
    Seq::try_from(u64::from(number)).map_err(|error| unreadable(column, error.into()))
}

fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}

/// A value that is kept as its text.
pub(super) fn text<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    parse(column, row.get_ref(column)?)
}

fn maybe_text<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    match row.get_ref(column)? {
        ValueRef::Null => Ok(None),
        value => parse(column, value).map(Some),
    }
}

fn parse<T>(column: usize, value: ValueRef<'_>) -> rusqlite::Result<T>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let parsed: FromSqlResult<T> =
        value.as_str().and_then(|text| text.parse().map_err(FromSqlError::other));
    parsed.map_err(|error| unreadable(column, error.into()))
}

/// A value that is kept as the name operations give it.
fn named<'r, T: Deserialize<'r>>(column: usize, value: ValueRef<'r>) -> rusqlite::Result<T> {
    let name = value.as_str().map_err(|error| unreadable(column, error.into()))?;
    let read = T::deserialize(BorrowedStrDeserializer::<serde::de::value::Error>::new(name));
    read.map_err(|error| unreadable(column, error.into()))
}

fn unreadable(column: usize, source: Cause) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, source)
}
