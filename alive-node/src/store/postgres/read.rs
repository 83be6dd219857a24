//! Questions to the tables.

use std::{str::FromStr, sync::Arc};

use alive_core::{
    AccountName, BlockChanges, Network, Pushed, Quality, Renditions, SegmentDuration, Seq,
    Settings, StreamId, StreamInfo, Timestamp,
    backend::{BlockRef, Cause, Cursor, StoredAccount, StoredStream},
};
use futures_util::future::try_join4;
use serde::{Deserialize, de::value::BorrowedStrDeserializer};
use tokio_postgres::{Row, types::FromSql};

use super::{
    error::Failure,
    pool::Question,
    session::{Parameter, Session},
};
use crate::store::sections;

/// How far the store has come on a network.
pub(super) struct CursorOf<'q>(pub(super) &'q Network);

impl Question for CursorOf<'_> {
    type Answer = Option<Cursor>;

    async fn ask(&self, session: &Session) -> Result<Option<Cursor>, Failure> {
        let sql = "SELECT last_num, last_id, created FROM networks
            WHERE name = $1 AND last_num IS NOT NULL";
        let Some(row) = session.row(sql, &[&self.0.as_str()]).await? else { return Ok(None) };
        let last = BlockRef { num: unsigned(&row, 0)?, id: text(&row, 1)? };
        Ok(Some(Cursor { last, created: unsigned(&row, 2)? }))
    }
}

/// The blocks of a network that may have to be undone.
pub(super) struct Reversible<'q>(pub(super) &'q Network);

impl Question for Reversible<'_> {
    type Answer = Vec<BlockChanges>;

    async fn ask(&self, session: &Session) -> Result<Vec<BlockChanges>, Failure> {
        let sql = "SELECT changes FROM undo
            WHERE network = (SELECT id FROM networks WHERE name = $1) ORDER BY num";
        let rows = session.rows(sql, &[&self.0.as_str()]).await?;
        let block = |row| {
            let json = value::<&[u8]>(row, 0)?;
            serde_json::from_slice(json).map_err(|error| unreadable(error.into()))
        };
        rows.iter().map(block).collect()
    }
}

/// An account of a network.
pub(super) struct AccountOf<'q>(pub(super) &'q Network, pub(super) &'q AccountName);

impl Question for AccountOf<'_> {
    type Answer = Option<StoredAccount>;

    async fn ask(&self, session: &Session) -> Result<Option<StoredAccount>, Failure> {
        if has_nul(self.1) {
            return Ok(None);
        }
        let sql = "SELECT a.created FROM accounts a JOIN networks n ON n.id = a.network
            WHERE n.name = $1 AND a.name = $2";
        let row = session.row(sql, &[&self.0.as_str(), &self.1.as_str()]).await?;
        let account = |row| Ok(StoredAccount { created: number(value::<i64>(&row, 0)?)? });
        row.map(account).transpose()
    }
}

/// A stream and its pushes, both as of one moment.
pub(super) struct StreamOf<'q>(pub(super) &'q StreamId);

/// What [`info`] reads.
macro_rules! info_columns {
    () => {
        "s.number, s.network_number, s.created, s.last_updated, s.first_streamed, s.last_streamed,
        s.finalized, s.head, s.ended, s.storage, s.l2, s.live_key, s.gateway, s.also"
    };
}
pub(super) use info_columns;

impl StreamOf<'_> {
    const INFO: &'static str = concat!(
        "SELECT ",
        info_columns!(),
        " FROM streams s JOIN accounts a ON a.id = s.account JOIN networks n ON n.id = a.network
        WHERE n.name = $1 AND a.name = $2 AND s.link = $3"
    );
    const PUSHES: &'static str =
        "SELECT seq, src, len, discontinuity, p240, p480, p720, p1080, sections
        FROM pushes WHERE stream = (
            SELECT s.id
            FROM streams s JOIN accounts a ON a.id = s.account JOIN networks n ON n.id = a.network
            WHERE n.name = $1 AND a.name = $2 AND s.link = $3
        ) ORDER BY seq";
}

impl Question for StreamOf<'_> {
    type Answer = Option<StoredStream>;

    async fn ask(&self, session: &Session) -> Result<Option<StoredStream>, Failure> {
        if has_nul(&self.0.account) {
            return Ok(None);
        }
        let (select_info, select_pushes) =
            (session.prepare(Self::INFO).await?, session.prepare(Self::PUSHES).await?);
        let StreamId { network, account, link } = self.0;
        let (network, account, link) = (network.as_str(), account.as_str(), link.as_str());
        let names: [Parameter<'_>; 3] = [&network, &account, &link];
        let mut pushes = Vec::new();
        let push = |row: &Row| {
            pushes.push(pushed(row)?);
            Ok(())
        };
        // All four are sent at once, in this order.
        let begin =
            async { Ok(session.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?) };
        let infos = async { Ok(session.query(&select_info, &names).await?) };
        let all = session.each(&select_pushes, &names, push);
        let commit = async { Ok::<_, Failure>(session.run("COMMIT").await?) };
        let ((), infos, (), ()) = try_join4(begin, infos, all, commit).await?;
        let Some(row) = infos.first() else { return Ok(None) };
        Ok(Some(StoredStream { info: info(row)?, pushes }))
    }
}

/// The state that begins at the first column.
pub(super) fn info(row: &Row) -> Result<StreamInfo, Failure> {
    let settings = Settings {
        storage: named(value(row, 9)?)?,
        l2: value::<Option<&str>>(row, 10)?.map(named).transpose()?,
        live_key: maybe_text(row, 11)?,
        gateway: maybe_text(row, 12)?,
        also: named(value(row, 13)?)?,
    };
    Ok(StreamInfo {
        number: number(value::<i64>(row, 0)?)?,
        id: unsigned(row, 1)?,
        created: time(value(row, 2)?),
        last_updated: time(value(row, 3)?),
        first_streamed: value::<Option<_>>(row, 4)?.map(time),
        last_streamed: value::<Option<_>>(row, 5)?.map(time),
        finalized: value::<Option<_>>(row, 6)?.map(seq).transpose()?,
        head: value::<Option<_>>(row, 7)?.map(seq).transpose()?,
        ended: value(row, 8)?,
        settings: Arc::new(settings),
    })
}

fn pushed(row: &Row) -> Result<(Seq, Pushed), Failure> {
    let length = |micros: i64| {
        let micros = number(micros)?;
        SegmentDuration::from_micros(micros).map_err(|error| unreadable(error.into()))
    };
    let mut renditions = Renditions::default();
    for (column, quality) in (4..).zip(Quality::TRANSCODED) {
        if let Some(content) = maybe_text(row, column)? {
            renditions.insert(quality, content);
        }
    }
    if let Some(text) = value::<Option<&str>>(row, 8)? {
        sections::add(&mut renditions, text).map_err(|error| unreadable(error.into()))?;
    }
    let pushed = Pushed {
        src: text(row, 1)?,
        len: value::<Option<_>>(row, 2)?.map(length).transpose()?,
        discontinuity: value(row, 3)?,
        renditions,
    };
    Ok((seq(value(row, 0)?)?, pushed))
}

/// The one letter that a text of the server cannot have. No chain allows it in a name either.
fn has_nul(account: &AccountName) -> bool {
    account.as_str().contains('\0')
}

/// A column.
pub(super) fn value<'r, T: FromSql<'r>>(row: &'r Row, column: usize) -> Result<T, Failure> {
    row.try_get(column).map_err(|error| unreadable(error.into()))
}

/// A column that counts something.
pub(super) fn unsigned(row: &Row, column: usize) -> Result<u64, Failure> {
    number(value::<i64>(row, column)?)
}

/// A column that holds a value as its text.
pub(super) fn text<T>(row: &Row, column: usize) -> Result<T, Failure>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    value::<&str>(row, column)?.parse().map_err(|error: T::Err| unreadable(error.into()))
}

pub(super) fn unreadable(source: Cause) -> Failure {
    Failure::Unreadable { what: "a value", source }
}

fn maybe_text<T>(row: &Row, column: usize) -> Result<Option<T>, Failure>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let text: Option<&str> = value(row, column)?;
    text.map(|text| text.parse().map_err(|error: T::Err| unreadable(error.into()))).transpose()
}

/// A value that is kept as the name operations give it.
fn named<'r, T: Deserialize<'r>>(name: &'r str) -> Result<T, Failure> {
    let read = T::deserialize(BorrowedStrDeserializer::<serde::de::value::Error>::new(name));
    read.map_err(|error| unreadable(error.into()))
}

fn time(ms: i64) -> Timestamp {
    Timestamp::from_unix_ms(ms)
}

fn seq(seq: i32) -> Result<Seq, Failure> {
    Seq::try_from(number::<u64>(seq.into())?).map_err(|error| unreadable(error.into()))
}

fn number<T: TryFrom<i64, Error: std::error::Error + Send + Sync + 'static>>(
    number: i64,
) -> Result<T, Failure> {
    T::try_from(number).map_err(|error| unreadable(error.into()))
}
