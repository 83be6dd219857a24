//! How calls are answered: [`Refusal`], [`Params`] and lines of JSON.

use axum::{
    body::Body,
    extract::FromRequestParts,
    http::{StatusCode, header, request},
    response::{IntoResponse, Response},
};
use multibase::Base;
use serde::Serialize;

use crate::{
    car::ImportCarError,
    cid::{self, Cid, CidError},
    serve::{query::Query, upload::UploadError},
    store::StoreError,
    unixfs::{DirectoryError, ReadError},
};

/// Why a call is not answered with what it asked for: `{"Message":"…","Code":0,"Type":"error"}`.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("archive cannot be imported")]
    Archive(#[from] ImportCarError),
    #[error("argument {0:?} is required")]
    ArgumentMissing(&'static str),
    #[error("block was not found locally (offline): ipld: could not find {0}")]
    BlockMissing(Box<Cid>),
    #[error("invalid cid")]
    Cid(#[from] CidError),
    #[error("files make no directory")]
    Directory(#[from] DirectoryError),
    #[error("access denied: the token that Authorization presents is not the one of this store")]
    Denied,
    #[error("a page of another origin may not call this")]
    ForeignOrigin,
    #[error("this store is read and written with POST only")]
    Method,
    #[error("{0} is not pinned or pinned indirectly")]
    NotPinned(Box<Cid>),
    #[error("option {name} cannot be {value:?}: {why}")]
    Option { name: &'static str, value: String, why: &'static str },
    #[error(
        "path {0:?} cannot be taken: it must be relative, without . and .. and control characters"
    )]
    Path(String),
    #[error("content cannot be read")]
    Read(#[from] ReadError),
    #[error("the store failed")]
    Store(#[from] StoreError),
    #[error("the time that the call allows is over")]
    Timeout,
    #[error("more than {0} blocks lie below the pins")]
    TooManyBlocks(usize),
    #[error("there is no such command here")]
    UnknownCommand,
    #[error("upload cannot be taken")]
    Upload(#[from] UploadError),
    #[error("the work was broken off")]
    Worker(#[from] tokio::task::JoinError),
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::Archive(ImportCarError::Car(_))
            | Self::ArgumentMissing(_)
            | Self::Cid(_)
            | Self::Directory(_)
            | Self::Option { .. }
            | Self::Path(_)
            | Self::Upload(_) => StatusCode::BAD_REQUEST,
            Self::Denied | Self::ForeignOrigin => StatusCode::FORBIDDEN,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::UnknownCommand => StatusCode::NOT_FOUND,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The error and its causes in one line.
    fn message(&self) -> String {
        let causes = std::iter::successors(std::error::Error::source(self), |cause| cause.source());
        causes.fold(self.to_string(), |text, cause| format!("{text}: {cause}"))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.status();
        let message = self.message();
        if matches!(self, Self::Store(_) | Self::Worker(_) | Self::Other(_)) {
            tracing::error!(error = message, "a call to the store failed");
        }
        let code = u8::from(status.is_client_error());
        let body = serde_json::json!({ "Message": message, "Code": code, "Type": "error" });
        let mut response = json(&body);
        *response.status_mut() = status;
        if let Self::Method = self {
            crate::serve::http::set(response.headers_mut(), header::ALLOW, "POST");
        }
        response
    }
}

/// One JSON value as Kubo sends it.
pub(super) fn json(value: &impl Serialize) -> Response {
    lines(std::slice::from_ref(value))
}

/// JSON values, one a line.
pub(super) fn lines<T: Serialize>(values: &[T]) -> Response {
    let mut body = Vec::new();
    for value in values {
        // Writing plain values into memory cannot fail.
        if serde_json::to_writer(&mut body, value).is_err() {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        body.push(b'\n');
    }
    let headers = [
        (header::CONTENT_TYPE.as_str(), "application/json"),
        (header::CACHE_CONTROL.as_str(), "no-cache"),
        ("x-chunked-output", "1"),
    ];
    (headers, Body::from(body)).into_response()
}

/// The options and arguments of a call.
#[derive(Debug)]
pub(super) struct Params(Query);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut request::Parts,
        _: &S,
    ) -> Result<Self, Self::Rejection> {
        Ok(Self(Query::parse(parts.uri.query())))
    }
}

impl Params {
    /// An option; empty counts as not given.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.one(name).filter(|value| !value.is_empty())
    }

    /// A switch.
    pub(super) fn flag(&self, name: &'static str, default: bool) -> Result<bool, Refusal> {
        match self.0.one(name) {
            None => Ok(default),
            // Kubo's command line sends the bare name for "yes".
            Some("" | "true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(value) => Err(refused(name, value, "true or false")),
        }
    }

    /// A number.
    pub(super) fn number(&self, name: &'static str) -> Result<Option<u64>, Refusal> {
        let read = |value: &str| value.parse().map_err(|_| refused(name, value, "a number"));
        self.get(name).map(read).transpose()
    }

    /// The CIDs that `arg` names, at least one and at most 1000.
    pub(super) fn cids(&self) -> Result<Vec<Cid>, Refusal> {
        let args = self.0.all("arg").take(1000);
        let cids: Vec<Cid> = args.map(parse_path).collect::<Result<_, _>>()?;
        if cids.is_empty() { Err(Refusal::ArgumentMissing("arg")) } else { Ok(cids) }
    }

    /// The one CID that `arg` names.
    pub(super) fn cid(&self) -> Result<Cid, Refusal> {
        match self.0.one("arg") {
            None => Err(Refusal::ArgumentMissing("arg")),
            Some(arg) => parse_path(arg),
        }
    }

    /// How version 1 CIDs are written; base32 unless `cid-base` says otherwise.
    pub(super) fn base(&self) -> Result<Base, Refusal> {
        match self.get("cid-base") {
            None | Some("base32") => Ok(Base::Base32Lower),
            Some("base16") => Ok(Base::Base16Lower),
            Some("base36") => Ok(Base::Base36Lower),
            Some("base58btc") => Ok(Base::Base58Btc),
            Some("base64url") => Ok(Base::Base64Url),
            Some(other) => Err(refused("cid-base", other, "no base that is written here")),
        }
    }
}

/// An option that is not taken.
pub(super) fn refused(name: &'static str, value: &str, why: &'static str) -> Refusal {
    Refusal::Option { name, value: value.chars().take(32).collect(), why }
}

/// A CID, alone or as `/ipfs/{cid}`.
fn parse_path(text: &str) -> Result<Cid, Refusal> {
    Ok(cid::parse(cid::strip_scheme(text))?)
}
