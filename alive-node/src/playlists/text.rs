//! A list's text in the forms in which it is served: [`ListText`].

use std::sync::Arc;

use alive_core::GatewayUrl;
use alive_playlist::Portion;
use bytes::Bytes;
use moka::future::Cache;
use sha2::{Digest as _, Sha256};

use super::{Key, gzip};

/// A text, plain and compressed, and its names.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListText {
    /// The text.
    pub bytes: Bytes,
    /// The same, compressed with gzip.
    pub gzip: Option<Bytes>,
    /// A name of these very bytes, in quotes: the same on every node that serves the same list.
    pub etag: Arc<str>,
    /// The name of the compressed text. It is weak: another version of this program may compress otherwise.
    pub gzip_etag: Arc<str>,
}

impl ListText {
    /// Names and compresses a text.
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        let gzip = gzip::compressed(&bytes);
        Self::with_gzip(bytes, gzip)
    }

    /// Names a text that was compressed already.
    pub(super) fn with_gzip(bytes: Vec<u8>, gzip: Option<Vec<u8>>) -> Self {
        let etag = etag(&bytes);
        let gzip_etag = format!("W/{}-gz\"", etag.strip_suffix('"').unwrap_or(&etag));
        let (bytes, gzip) = (bytes.into(), gzip.map(Into::into));
        Self { bytes, gzip, etag, gzip_etag: gzip_etag.into() }
    }

    fn size(&self) -> usize {
        self.bytes.len() + self.gzip.as_ref().map_or(0, Bytes::len)
    }
}

/// The strong name of some bytes.
pub(crate) fn etag(bytes: &[u8]) -> Arc<str> {
    let digest = Sha256::digest(bytes);
    let half = digest.get(..16).unwrap_or_default();
    format!("\"{}\"", data_encoding::HEXLOWER.encode(half)).into()
}

/// What is made of a list when somebody asks for it: windows, and segments from other gateways.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Form {
    pub(super) list: Key,
    /// The name of the list of which it is made; a newer one has newer forms.
    pub(super) etag: Arc<str>,
    pub(super) portion: Portion,
    pub(super) gateway: Option<GatewayUrl>,
}

/// Forms that were asked for lately. What is asked for by many at once is made once.
pub(super) fn forms(max_bytes: usize) -> Cache<Form, Arc<ListText>> {
    /// What a form takes besides its text.
    const ENTRY: usize = 512;
    Cache::builder()
        .max_capacity(u64::try_from(max_bytes).unwrap_or(u64::MAX))
        .weigher(|_: &Form, text: &Arc<ListText>| {
            u32::try_from(text.size() + ENTRY).unwrap_or(u32::MAX)
        })
        .build()
}
