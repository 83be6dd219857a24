//! The routes of the original server, with its shapes, and without its faults.
//!
//! An unknown account or stream is answered with status 200 and an `error`, because the original streamer shows the
//! error then and takes any other status as a failure of the server. A parameter that is not UTF-8 or holds a NUL, which
//! ended the original's process, names nothing that exists. Source: `spec/indexer.md`, section 5.

use std::sync::Arc;

use alive_core::{
    AccountName, GatewayUrl, LiveKey, LiveLayer, SegmentDuration, StreamId, Timestamp,
    backend::{StoredStream, StreamStore as _},
};
use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::{
    Api, error, failed, json,
    query::{Param, Query},
};

/// The version of the original's database, which its clients may look at.
const DB_VERSION: u32 = 1;

/// How far the index has come.
pub(super) async fn root(State(api): State<Arc<Api>>) -> Response {
    #[derive(Serialize)]
    struct Status {
        db_version: u32,
        last_processed_block: u64,
    }
    match api.store.cursor(&api.network).await {
        Ok(cursor) => {
            let last_processed_block = cursor.map_or(0, |cursor| cursor.last.num);
            json(StatusCode::OK, &Status { db_version: DB_VERSION, last_processed_block })
        }
        Err(why) => failed(&why),
    }
}

/// The state of a stream.
pub(super) async fn stream_info(State(api): State<Arc<Api>>, uri: Uri) -> Response {
    match api.asked_stream(&uri).await {
        Ok((id, stored)) => json(StatusCode::OK, &Info::new(&id, &stored)),
        Err(answer) => answer,
    }
}

/// The pushes of a stream, those above a gap included.
pub(super) async fn stream_chunks(State(api): State<Arc<Api>>, uri: Uri) -> Response {
    match api.asked_stream(&uri).await {
        Ok((_, stored)) => json(StatusCode::OK, &Chunks::new(&stored)),
        Err(answer) => answer,
    }
}

/// The same as `PostgREST` in front of the original's database gives it: lengths have six decimals.
pub(super) async fn rpc_stream_chunks(State(api): State<Arc<Api>>, uri: Uri) -> Response {
    #[derive(Serialize)]
    struct RpcChunks<'s> {
        id: u64,
        chunks: Vec<RpcRow<'s>>,
    }
    #[derive(Serialize)]
    struct RpcRow<'s> {
        len: Option<Box<RawValue>>,
        seq: u16,
        src_hash: &'s str,
    }
    let stored = match api.asked_stream(&uri).await {
        Ok((_, stored)) => stored,
        Err(answer) => return answer,
    };
    let rows = stored.pushes.iter().map(|(seq, pushed)| RpcRow {
        len: pushed.len.and_then(six_decimals),
        seq: seq.as_u16(),
        src_hash: pushed.src.as_str(),
    });
    json(StatusCode::OK, &RpcChunks { id: stored.info.id, chunks: rows.collect() })
}

/// Seconds as a number of `PostgreSQL` prints: `10.033000`.
fn six_decimals(len: SegmentDuration) -> Option<Box<RawValue>> {
    const SECOND: u32 = 1_000_000;
    let micros = len.as_micros();
    RawValue::from_string(format!("{}.{:06}", micros / SECOND, micros % SECOND)).ok()
}

impl Api {
    /// The stream that `stream_author` and `stream_link` name, or the answer.
    async fn asked_stream(&self, uri: &Uri) -> Result<(StreamId, StoredStream), Response> {
        let query = Query::parse(uri.query());
        let (Param::Once(author), Param::Once(link)) =
            (query.get("stream_author"), query.get("stream_link"))
        else {
            let text = "stream_author and stream_link are required";
            return Err(error(StatusCode::BAD_REQUEST, text));
        };
        let account: Option<AccountName> = author.and_then(|author| author.parse().ok());
        let Some(account) = account else { return Err(no_streamer()) };
        if let Some(link) = link.and_then(|link| link.parse().ok()) {
            let id = StreamId::new(self.network.clone(), account.clone(), link);
            match self.store.stream(&id).await {
                Ok(Some(stored)) => return Ok((id, stored)),
                Ok(None) => {}
                Err(why) => return Err(failed(&why)),
            }
        }
        match self.accounts.knows(&account).await {
            Ok(true) => Err(error(StatusCode::OK, "Stream does not exist")),
            Ok(false) => Err(no_streamer()),
            Err(why) => Err(failed(&why)),
        }
    }
}

fn no_streamer() -> Response {
    error(StatusCode::OK, "Streamer does not exist")
}

/// A stream's state, in the order of the original.
#[derive(Serialize)]
struct Info<'s> {
    id: u64,
    link: &'s str,
    ended: bool,
    st_id: u32,
    l2_pub: Option<&'s str>,
    created: Timestamp,
    streamer: &'s str,
    chunk_head: Option<u16>,
    storage_gw: Option<&'s str>,
    l2_protocol: Option<&'static str>,
    last_updated: Timestamp,
    last_streamed: Option<Timestamp>,
    first_streamed: Option<Timestamp>,
    chunk_finalized: Option<u16>,
    storage_protocol: String,
}

impl<'s> Info<'s> {
    fn new(id: &'s StreamId, StoredStream { info, .. }: &'s StoredStream) -> Self {
        let settings = &info.settings;
        Self {
            id: info.id,
            link: id.link.as_str(),
            ended: info.ended,
            st_id: info.number,
            l2_pub: settings.live_key.as_ref().map(LiveKey::as_str),
            created: info.created,
            streamer: id.account.as_str(),
            chunk_head: info.head.map(Into::into),
            storage_gw: settings.gateway.as_ref().map(GatewayUrl::as_str),
            l2_protocol: settings.l2.map(LiveLayer::as_str),
            last_updated: info.last_updated,
            last_streamed: info.last_streamed,
            first_streamed: info.first_streamed,
            chunk_finalized: info.finalized.map(Into::into),
            storage_protocol: settings.storage.to_string(),
        }
    }
}

/// A stream's pushes.
#[derive(Serialize)]
struct Chunks<'s> {
    id: u64,
    chunks: Vec<Row<'s>>,
}

#[derive(Serialize)]
struct Row<'s> {
    #[serde(serialize_with = "number")]
    len: Option<SegmentDuration>,
    seq: u16,
    src_hash: &'s str,
}

impl<'s> Chunks<'s> {
    fn new(stored: &'s StoredStream) -> Self {
        let rows = stored.pushes.iter().map(|(seq, pushed)| Row {
            len: pushed.len,
            seq: seq.as_u16(),
            src_hash: pushed.src.as_str(),
        });
        Self { id: stored.info.id, chunks: rows.collect() }
    }
}

/// Seconds as a JavaScript number prints: `7`, `10.033`.
#[expect(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn number<S: Serializer>(len: &Option<SegmentDuration>, to: S) -> Result<S::Ok, S::Error> {
    const SECOND: u32 = 1_000_000;
    match len.map(SegmentDuration::as_micros) {
        None => to.serialize_none(),
        Some(micros) if micros.is_multiple_of(SECOND) => to.serialize_u32(micros / SECOND),
        Some(micros) => to.serialize_f64(f64::from(micros) / f64::from(SECOND)),
    }
}
