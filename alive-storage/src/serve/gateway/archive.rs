//! Blocks for clients that check what they get: one (`format=raw`) or all that a file needs (`format=car`). Source:
//! `spec/storage.md`, section 6, "Trustless".

use std::{collections::HashSet, fmt, mem};

use alive_core::backend::StorageError;
use axum::{
    body::Body,
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures_util::stream;

use super::Asking;
use crate::{
    block::Block,
    car::CarWriter,
    cid::{self, Cid, Multihash},
    reader::ContentReader as _,
    serve::{
        http::{has, not_modified, set},
        query::Query,
    },
    unixfs::{FileWalk, MAX_DEPTH, ReadError, Step, next_linked},
};

/// What errors call this backend.
const BACKEND: &str = "gateway";
const CAR: &str = "application/vnd.ipld.car";
const RAW: &str = "application/vnd.ipld.raw";

/// The form in which content is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Car(Archive),
    Plain,
    Raw,
}

/// What an archive is to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Archive {
    scope: Scope,
    /// Whether a block comes as often as it is linked.
    duplicates: bool,
}

/// As it stands in the entity tag.
impl fmt::Display for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scope {
            Scope::All => f.write_str("all")?,
            Scope::Block => f.write_str("block")?,
            Scope::Bytes(from, to) => write!(f, "{from}_{}", to.unwrap_or(i64::MAX))?,
        }
        f.write_str(if self.duplicates { ".dups" } else { "" })
    }
}

/// Which blocks of a file an archive holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// All below the root.
    All,
    /// The root alone.
    Block,
    /// Those that a range of bytes needs; the end is exclusive. A negative place counts from the end of the file.
    Bytes(i64, Option<i64>),
}

/// What a gateway here does not make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FormatError {
    #[error("format can be raw or car")]
    Format,
    #[error("dag-scope can be all, block or entity")]
    Scope,
    #[error("entity-bytes is FROM:TO with * for the end")]
    EntityBytes,
    #[error("an archive is of version 1, in order dfs")]
    Version,
}

impl Format {
    /// What the query asks for, or else the header `Accept`.
    pub(super) fn asked(query: &Query, headers: &HeaderMap) -> Result<Self, FormatError> {
        let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
        let accept = accept.unwrap_or_default();
        match query.one("format") {
            Some("car") => Self::car(query, accept),
            Some("raw") => Ok(Self::Raw),
            Some(_) => Err(FormatError::Format),
            None if accept.contains(RAW) => Ok(Self::Raw),
            None if accept.contains(CAR) => Self::car(query, accept),
            None if accept.contains("application/vnd.ipld.") => Err(FormatError::Format),
            None => Ok(Self::Plain),
        }
    }

    fn car(query: &Query, accept: &str) -> Result<Self, FormatError> {
        let option = |query_name: &str, name: &str| {
            let of_header = accept.split(';').filter_map(|part| part.trim().split_once('='));
            let of_header =
                of_header.filter(|(key, _)| *key == name).map(|(_, value)| value).next();
            query.one(query_name).or(of_header).map(str::to_owned)
        };
        let version = option("car-version", "version");
        let order = option("car-order", "order");
        if !matches!(version.as_deref(), None | Some("1"))
            || !matches!(order.as_deref(), None | Some("dfs" | "unk"))
        {
            return Err(FormatError::Version);
        }
        let scope = match (query.one("dag-scope"), query.one("entity-bytes")) {
            (Some("block"), _) => Scope::Block,
            (None | Some("all" | "entity"), None) => Scope::All,
            (None | Some("all" | "entity"), Some(range)) => entity_bytes(range)?,
            _ => return Err(FormatError::Scope),
        };
        let duplicates = option("car-dups", "dups").as_deref() == Some("y");
        Ok(Self::Car(Archive { scope, duplicates }))
    }
}

/// `from:to`, both inclusive, negative from the end.
fn entity_bytes(range: &str) -> Result<Scope, FormatError> {
    let (from, to) = range.split_once(':').ok_or(FormatError::EntityBytes)?;
    let number = |text: &str| text.parse::<i64>().map_err(|_| FormatError::EntityBytes);
    let to = if to == "*" { None } else { Some(number(to)?) };
    Ok(Scope::Bytes(number(from)?, to))
}

impl Asking {
    /// One block.
    pub(super) async fn block(
        &self,
        method: &Method,
        asked: &HeaderMap,
    ) -> Result<Response, StorageError> {
        let block = self.fetch(&self.root).await?;
        let etag = format!("\"{}.raw\"", self.name());
        let headers = self.file_headers(&etag, RAW, "bin");
        if has(asked, &etag) {
            return Ok(not_modified(headers));
        }
        Ok(answer(method, headers, block.data().len(), block.data().clone().into()))
    }

    /// The root's text, as it names files.
    fn name(&self) -> String {
        cid::to_text(&self.root, multibase::Base::Base32Lower)
    }

    fn file_headers(&self, etag: &str, media_type: &str, extension: &str) -> HeaderMap {
        let mut headers = self.headers(etag);
        set(&mut headers, header::CONTENT_TYPE, media_type);
        let file = format!("attachment; filename=\"{}.{extension}\"", self.name());
        set(&mut headers, header::CONTENT_DISPOSITION, &file);
        headers
    }

    async fn fetch(&self, cid: &Cid) -> Result<Block, StorageError> {
        match Block::of_identity(cid.hash()) {
            Some(block) => Ok(block),
            None => self.content.block(cid).await?.ok_or_else(|| self.missing()),
        }
    }

    fn missing(&self) -> StorageError {
        match cid::to_content(&self.root) {
            Ok(id) => StorageError::NotFound(id),
            Err(why) => StorageError::Refused { backend: BACKEND, source: why.into() },
        }
    }
}

fn answer(method: &Method, mut headers: HeaderMap, len: usize, body: Body) -> Response {
    set(&mut headers, header::CONTENT_LENGTH, &len.to_string());
    let body = if method == Method::HEAD { Body::empty() } else { body };
    (StatusCode::OK, headers, body).into_response()
}

impl Asking {
    /// The blocks below the root, parents before their children in the order of the content, read while they are sent.
    /// What cannot be read breaks the answer off, so that nobody takes what came for the whole.
    pub(super) async fn archive(
        self,
        what: Archive,
        method: &Method,
        asked: &HeaderMap,
    ) -> Result<Response, StorageError> {
        let etag = format!("W/\"{}.car.{what}\"", self.name());
        let dups = if what.duplicates { 'y' } else { 'n' };
        let media_type = format!("{CAR}; version=1; order=dfs; dups={dups}");
        let mut headers = self.file_headers(&etag, &media_type, "car");
        // Which blocks there are is not told before they are read.
        set(&mut headers, header::ACCEPT_RANGES, "none");
        if has(asked, &etag) {
            return Ok(not_modified(headers));
        }
        let root = self.fetch(&self.root).await?;
        if method == Method::HEAD {
            return Ok((StatusCode::OK, headers, Body::empty()).into_response());
        }
        let walk = self.walk(what.scope).await?;
        let car = CarWriter::new(Vec::new(), &[self.root]).map_err(broken)?;
        let written = (!what.duplicates).then(HashSet::new);
        let sending = Sending { asking: self, walk, car, written, first: Some(root) };
        let pieces = stream::try_unfold(sending, |mut sending| async move {
            let piece = sending.next().await.inspect_err(|why| {
                let error = why as &(dyn std::error::Error + 'static);
                tracing::warn!(root = %sending.asking.root, error, "archive broken off");
            })?;
            Ok::<_, StorageError>(piece.map(|piece| (piece, sending)))
        });
        Ok((StatusCode::OK, headers, Body::from_stream(pieces)).into_response())
    }

    async fn walk(&self, scope: Scope) -> Result<Walk, StorageError> {
        let Scope::Bytes(from, to) = scope else {
            let depth = if scope == Scope::Block { 0 } else { MAX_DEPTH };
            return Ok(Walk::Tree { wanted: Some(self.root), open: Vec::new(), depth });
        };
        let id = cid::to_content(&self.root).map_err(broken)?;
        let size = self.content.size(&id).await?;
        let place = |at: i64| match u64::try_from(at) {
            Ok(at) => at,
            Err(_) => size.saturating_sub(at.unsigned_abs()),
        };
        let end = to.map_or(size, |to| place(to).saturating_add(1)).min(size);
        Ok(Walk::Range(Box::new(FileWalk::range(self.root, place(from)..end))))
    }
}

fn broken(source: impl std::error::Error + Send + Sync + 'static) -> StorageError {
    StorageError::Refused { backend: BACKEND, source: source.into() }
}

/// An archive on its way.
struct Sending {
    asking: Asking,
    walk: Walk,
    car: CarWriter<Vec<u8>>,
    /// What has been sent, unless it is to be sent as often as it is linked.
    written: Option<HashSet<Multihash>>,
    /// The root, which has been read.
    first: Option<Block>,
}

/// Which block comes next.
enum Walk {
    /// Those that a range of bytes needs.
    Range(Box<FileWalk>),
    /// All down to a depth.
    Tree { wanted: Option<Cid>, open: Vec<Open>, depth: usize },
}

/// A node whose children are being sent.
struct Open {
    block: Bytes,
    at: usize,
}

impl Sending {
    /// The bytes of the next block, or `None` behind the last one.
    async fn next(&mut self) -> Result<Option<Bytes>, StorageError> {
        while let Some(cid) = self.walk.wanted().map_err(broken)? {
            // An identity is its own block, and a block sent before is not sent again.
            let identity = cid.hash().code() == cid::IDENTITY;
            let again = self.written.as_mut().is_some_and(|written| !written.insert(*cid.hash()));
            if again && self.walk.skip() {
                continue;
            }
            let block = match self.first.take() {
                Some(root) => root,
                None => self.asking.fetch(&cid).await?,
            };
            self.walk.supply(&cid, &block).map_err(broken)?;
            if !identity && !again {
                self.car.add(&cid, &block).map_err(broken)?;
                return Ok(Some(mem::take(self.car.get_mut()).into()));
            }
        }
        let head = mem::take(self.car.get_mut());
        Ok(if head.is_empty() { None } else { Some(head.into()) })
    }
}

impl Walk {
    fn wanted(&mut self) -> Result<Option<Cid>, ReadError> {
        match self {
            Self::Range(walk) => loop {
                match walk.poll()? {
                    Step::Block(cid) => return Ok(Some(cid)),
                    Step::Data(_) => {}
                    Step::Done => return Ok(None),
                }
            },
            Self::Tree { wanted, open, .. } => {
                while wanted.is_none() {
                    let Some(last) = open.last_mut() else { return Ok(None) };
                    *wanted = next_linked(&last.block, &mut last.at);
                    if wanted.is_none() {
                        open.pop();
                    }
                }
                Ok(*wanted)
            }
        }
    }

    /// Passes over the block and all below it, if that is possible.
    fn skip(&mut self) -> bool {
        match self {
            Self::Range(_) => false,
            Self::Tree { wanted, .. } => wanted.take().is_some(),
        }
    }

    fn supply(&mut self, cid: &Cid, block: &Block) -> Result<(), ReadError> {
        match self {
            Self::Range(walk) => walk.supply(block),
            Self::Tree { wanted, open, depth } => {
                *wanted = None;
                if cid.codec() == cid::DAG_PB && *depth > 0 {
                    if open.len() >= *depth {
                        return Err(ReadError::Depth);
                    }
                    open.push(Open { block: block.data().clone(), at: 0 });
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str, accept: &str) -> Result<Format, FormatError> {
        let mut headers = HeaderMap::new();
        set(&mut headers, header::ACCEPT, accept);
        Format::asked(&Query::parse(Some(query)), &headers)
    }

    fn car_of(scope: Scope) -> Format {
        Format::Car(Archive { scope, duplicates: false })
    }

    #[test]
    fn the_query_wins_over_the_header() {
        assert_eq!(asked("", "*/*"), Ok(Format::Plain));
        assert_eq!(asked("", RAW), Ok(Format::Raw));
        assert_eq!(asked("format=raw", CAR), Ok(Format::Raw));
        assert_eq!(asked("format=car", RAW), Ok(car_of(Scope::All)));
        let all = Archive { scope: Scope::All, duplicates: true };
        assert_eq!(asked("", &format!("{CAR};version=1;order=dfs;dups=y")), Ok(Format::Car(all)));
        assert_eq!(asked("", &format!("{CAR};version=2")), Err(FormatError::Version));
        assert_eq!(asked("format=car&car-version=2", ""), Err(FormatError::Version));
        assert_eq!(asked("format=tar", ""), Err(FormatError::Format));
        assert_eq!(asked("", "application/vnd.ipld.dag-json"), Err(FormatError::Format));
    }

    #[test]
    fn scopes_are_read_strictly() {
        let car = |query: &str| asked(&format!("format=car&{query}"), "");
        assert_eq!(car("dag-scope=block"), Ok(car_of(Scope::Block)));
        assert_eq!(car("dag-scope=entity"), Ok(car_of(Scope::All)));
        assert_eq!(car("entity-bytes=0:*"), Ok(car_of(Scope::Bytes(0, None))));
        assert_eq!(car("entity-bytes=-5:-1"), Ok(car_of(Scope::Bytes(-5, Some(-1)))));
        assert_eq!(car("entity-bytes=5"), Err(FormatError::EntityBytes));
        assert_eq!(car("dag-scope=x"), Err(FormatError::Scope));
    }
}
