//! Blocks and their operations out of HAF's views: [`Reader`].

use std::collections::BTreeMap;

use alive_core::{
    OpError, SignedOp,
    backend::{Block, BlockId, BlockRef, RefusedOp},
};
use serde_json::Value;
use tokio_postgres::Row;

use crate::{extract::ExtractedOp, time::TimePoint};

use super::{
    config::HafBlockSourceConfig,
    error::HafError,
    session::{Parameter, Session, column},
};

/// HAF's number of the operation `custom_json`. Source: `spec/indexer.md`, section 7.
const CUSTOM_JSON: i16 = 18;

/// Longest payload and longest list of authorities that leave the server, in bytes. No chain takes a transaction of
/// more. Source: `spec/hive.md`, section 4.1.
const MAX_TEXT: i32 = 65_536;

/// A block without its operations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) num: u32,
    pub(super) id: BlockId,
    pub(super) previous: BlockId,
    pub(super) time: alive_core::Timestamp,
}

/// Reads from one pair of views, inside an open transaction.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    session: &'a Session,
    /// Where the views `blocks_view` and `operations_view` are.
    schema: &'a str,
    custom_json_id: &'a str,
    range_bytes: usize,
}

impl<'a> Reader<'a> {
    /// Reads what the context's views show.
    pub(super) fn of_context(session: &'a Session, config: &'a HafBlockSourceConfig) -> Self {
        Self::new(session, &config.schema, config)
    }

    /// Reads what HAF has up to its head, whatever any context says.
    pub(super) fn of_haf(session: &'a Session, config: &'a HafBlockSourceConfig) -> Self {
        Self::new(session, "hive", config)
    }

    fn new(session: &'a Session, schema: &'a str, config: &'a HafBlockSourceConfig) -> Self {
        let (custom_json_id, range_bytes) = (&*config.custom_json_id, config.range_bytes);
        Self { session, schema, custom_json_id, range_bytes }
    }

    /// Blocks `first` to `last`, all of them, or fewer if their payloads are more than a range may have; at least one.
    pub(super) async fn blocks(&self, first: u32, last: u32) -> Result<Vec<Block>, HafError> {
        let headers = self.headers(first, last).await?;
        let wanted =
            (first..=last).zip(headers.iter().map(|header| Some(header.num)).chain([None]));
        for (num, got) in wanted {
            if got != Some(num) {
                return Err(HafError::BlockGone(num));
            }
        }
        self.with_ops(headers).await
    }

    /// The headers that the view shows from `first` to `last`, by number.
    pub(super) async fn headers(&self, first: u32, last: u32) -> Result<Vec<Header>, HafError> {
        let sql = format!(
            "SELECT num::bigint, hash, prev, extract(epoch FROM created_at)::bigint \
             FROM {}.blocks_view WHERE num BETWEEN $1::bigint AND $2::bigint ORDER BY num",
            self.schema
        );
        let mut headers = Vec::new();
        let ends: [Parameter<'_>; 2] = [&i64::from(first), &i64::from(last)];
        self.session
            .rows("blocks were read", &sql, &ends, |row| {
                headers.push(Header::read(row)?);
                Ok(true)
            })
            .await?;
        Ok(headers)
    }

    /// Headers in a row with their operations, cut where the payloads become too many.
    pub(super) async fn with_ops(&self, headers: Vec<Header>) -> Result<Vec<Block>, HafError> {
        let Some((first, last)) = headers.first().zip(headers.last()) else {
            return Ok(Vec::new());
        };
        let mut pairs = headers.iter().zip(headers.iter().skip(1));
        if pairs.any(|(one, next)| next.previous != one.id) {
            return Err(HafError::Answer("with blocks that name each other"));
        }
        let mut found = self.ops(first.num, last.num).await?;
        let cut = found.cut;
        let whole = headers.into_iter().take_while(|header| cut.is_none_or(|cut| header.num < cut));
        let block = |header: Header| {
            let ops = found.ops.remove(&header.num).unwrap_or_default();
            header.into_block(ops)
        };
        Ok(whole.map(block).collect())
    }

    /// Our operations of these blocks.
    ///
    /// An operation that the server cannot turn into JSON makes the whole query fail. Then the blocks are halved until it
    /// is alone, and passed over: what somebody put on the chain must not stop an index.
    async fn ops(&self, first: u32, last: u32) -> Result<Found, HafError> {
        let mut found = Found { first, left: self.range_bytes, cut: None, ops: BTreeMap::new() };
        let mut todo = vec![Span::Blocks(first, last)];
        while let Some(span) = todo.pop() {
            self.session.run(READING, "SAVEPOINT alive").await?;
            match self.span(span).await {
                Ok(ops) => {
                    self.session.run(READING, "RELEASE SAVEPOINT alive").await?;
                    found.add(ops);
                    if found.cut.is_some() {
                        break;
                    }
                }
                Err(error) if error.is_data() => {
                    let back = "ROLLBACK TO SAVEPOINT alive; RELEASE SAVEPOINT alive";
                    self.session.run(READING, back).await?;
                    match self.halves(span).await? {
                        Some([low, high]) => todo.extend([high, low]),
                        None => tracing::warn!(?span, %error, "HAF cannot show an operation"),
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// Reads the operations of one span, at least those of one block, and not many more than a range may have.
    async fn span(&self, span: Span) -> Result<Vec<FoundOp>, HafError> {
        // The innermost query makes JSON of each body once; OFFSET keeps it from being merged into the others.
        let sql = format!(
            "SELECT block_num, \
                CASE WHEN octet_length(auths) <= {MAX_TEXT} THEN auths END, \
                CASE WHEN octet_length(json) <= {MAX_TEXT} THEN json END \
             FROM (SELECT id, block_num, \
                      (value->'required_posting_auths')::text AS auths, value->>'json' AS json \
                   FROM (SELECT id, block_num::bigint AS block_num, body->'value' AS value \
                         FROM {}.operations_view \
                         WHERE op_type_id = {CUSTOM_JSON} \
                           AND {} BETWEEN $1::bigint AND $2::bigint OFFSET 0) AS bodies \
                   WHERE value->'id' = to_jsonb($3::text) AND jsonb_typeof(value->'json') = 'string' \
                  ) AS texts \
             ORDER BY id",
            self.schema,
            span.column(),
        );
        let (low, high) = span.ends();
        let (mut ops, mut bytes) = (Vec::new(), 0_usize);
        let parameters: [Parameter<'_>; 3] = [&low, &high, &self.custom_json_id];
        self.session
            .rows(READING, &sql, &parameters, |row| {
                let op = FoundOp::read(row)?;
                bytes = bytes.saturating_add(op.bytes);
                // Further operations of the same block are needed, those of the next one tell that it is whole.
                let is_enough = bytes > self.range_bytes
                    && ops.last().is_some_and(|last: &FoundOp| last.block < op.block);
                ops.push(op);
                Ok(!is_enough)
            })
            .await?;
        Ok(ops)
    }

    /// Two halves of a span, `None` when it is a single operation or none.
    async fn halves(&self, span: Span) -> Result<Option<[Span; 2]>, HafError> {
        let span = match span {
            Span::Blocks(first, last) if first == last => {
                let ids = self.ids(first).await?;
                ids.map_or(Span::Ids(0, 0), |(low, high)| Span::Ids(low, high))
            }
            more => more,
        };
        Ok(span.halves())
    }

    /// The first and last id of the custom operations of a block.
    async fn ids(&self, num: u32) -> Result<Option<(i64, i64)>, HafError> {
        let sql = format!(
            "SELECT min(id), max(id) FROM {}.operations_view \
             WHERE op_type_id = {CUSTOM_JSON} AND block_num = $1::bigint",
            self.schema
        );
        let mut ids = None;
        let want = "with ids of operations";
        self.session
            .rows(READING, &sql, &[&i64::from(num)], |row| {
                ids = column::<Option<i64>>(row, 0, want)?.zip(column(row, 1, want)?);
                Ok(true)
            })
            .await?;
        Ok(ids)
    }
}

const READING: &str = "operations were read";

/// Operations to read at once, both ends included.
#[derive(Clone, Copy, Debug)]
enum Span {
    Blocks(u32, u32),
    Ids(i64, i64),
}

impl Span {
    fn column(self) -> &'static str {
        match self {
            Self::Blocks(..) => "block_num",
            Self::Ids(..) => "id",
        }
    }

    fn ends(self) -> (i64, i64) {
        match self {
            Self::Blocks(first, last) => (first.into(), last.into()),
            Self::Ids(low, high) => (low, high),
        }
    }

    fn halves(self) -> Option<[Self; 2]> {
        match self {
            Self::Blocks(first, last) if first < last => {
                let middle = first.midpoint(last);
                Some([Self::Blocks(first, middle), Self::Blocks(middle + 1, last)])
            }
            Self::Ids(low, high) if low < high => {
                let middle = low.midpoint(high);
                Some([Self::Ids(low, middle), Self::Ids(middle + 1, high)])
            }
            _ => None,
        }
    }
}

/// An operation of ours and what it costs.
#[derive(Debug)]
struct FoundOp {
    block: u32,
    bytes: usize,
    op: Result<SignedOp, RefusedOp>,
}

impl FoundOp {
    fn read(row: &Row) -> Result<Self, HafError> {
        let want = "with operations";
        let block = u32::try_from(column::<i64>(row, 0, want)?);
        let block = block.map_err(|_| HafError::Answer(want))?;
        let (auths, json) =
            (column::<Option<&str>>(row, 1, want)?, column::<Option<&str>>(row, 2, want)?);
        let bytes = auths.map_or(0, str::len) + json.map_or(0, str::len);
        Ok(Self { block, bytes, op: read_op(auths, json) })
    }
}

/// Reads an operation of ours by the same strict rule as any other source: the JSON text of its posting authorities, and
/// its payload. What is too long to be on a chain did not leave the server.
pub(super) fn read_op(auths: Option<&str>, json: Option<&str>) -> Result<SignedOp, RefusedOp> {
    let names = auths.and_then(|auths| serde_json::from_str::<Value>(auths).ok());
    let required_posting_auths = match names {
        Some(Value::Array(names)) => names,
        _ => Vec::new(),
    };
    let op = ExtractedOp {
        trx_in_block: 0,
        op_in_trx: 0,
        transaction_id: None,
        required_auths: Vec::new(),
        required_posting_auths,
        json: json.unwrap_or_default().to_owned(),
    };
    let read = op.read();
    if json.is_some() {
        return read;
    }
    let reason = OpError::Envelope("json is longer than a transaction may be");
    Err(RefusedOp { account: read.err().and_then(|refused| refused.account), reason })
}

/// Operations by block.
#[derive(Debug)]
struct Found {
    first: u32,
    /// Bytes that the range may still have.
    left: usize,
    /// The block from which on operations may be missing.
    cut: Option<u32>,
    ops: BTreeMap<u32, Vec<Result<SignedOp, RefusedOp>>>,
}

impl Found {
    fn add(&mut self, ops: Vec<FoundOp>) {
        for FoundOp { block, bytes, op } in ops {
            if self.cut.is_some_and(|cut| cut <= block) {
                return;
            }
            // The block in which the bytes run out is cut off whole, unless nothing would be left.
            match self.left.checked_sub(bytes) {
                Some(left) => self.left = left,
                None if block == self.first => self.left = 0,
                None => {
                    self.cut = Some(block);
                    self.ops.remove(&block);
                    return;
                }
            }
            self.ops.entry(block).or_default().push(op);
        }
    }
}

impl Header {
    fn read(row: &Row) -> Result<Self, HafError> {
        let want = "with blocks of number, hash, previous hash and time";
        let num = u32::try_from(column::<i64>(row, 0, want)?);
        let secs = u32::try_from(column::<i64>(row, 3, want)?);
        let (Ok(num), Ok(secs)) = (num, secs) else { return Err(HafError::Answer(want)) };
        Ok(Self {
            num,
            id: block_id(column(row, 1, want)?)?,
            previous: block_id(column(row, 2, want)?)?,
            time: TimePoint::from_unix_secs(secs).into(),
        })
    }

    fn into_block(self, ops: Vec<Result<SignedOp, RefusedOp>>) -> Block {
        let at = BlockRef { num: self.num.into(), id: self.id };
        Block { at, previous: self.previous, time: self.time, ops }
    }
}

/// A hash as the id that every other source gives the block.
pub(super) fn block_id(hash: &[u8]) -> Result<BlockId, HafError> {
    hex::encode(hash).parse().map_err(|_| HafError::Answer("with block hashes of a usable length"))
}
