//! What the pages are made of: scripts and styles that come with the program.
//!
//! Their addresses hold a hash of all of them, so browsers and caches keep them for ever, and a page never meets parts of
//! another version. hls.js and noble-secp256k1 are copies of the published files; `assets/*.VERSION.txt` tell of which.

use std::{
    io::Write as _,
    sync::{Arc, LazyLock},
};

use alive_storage::serve::http::{has, not_modified, set};
use axum::{
    extract::{RawPathParams, rejection::RawPathParamsRejection},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest as _, Sha256};

use crate::{api::takes_gzip, playlists::etag};

/// A file that comes with the program.
struct Asset {
    name: &'static str,
    media_type: &'static str,
    bytes: &'static [u8],
}

macro_rules! assets {
    ($($name:literal: $media_type:expr,)*) => {
        &[$(Asset {
            name: $name,
            media_type: $media_type,
            bytes: include_bytes!(concat!("assets/", $name)),
        },)*]
    };
}

/// Who may load a file: frames in other sites, too.
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

const ASSETS: &[Asset] = assets! {
    "attestation.mjs": SCRIPT,
    "car.mjs": SCRIPT,
    "chat-account.mjs": SCRIPT,
    "chat-keys.mjs": SCRIPT,
    "chat-log.mjs": SCRIPT,
    "chat-sign.mjs": SCRIPT,
    "chat-text.mjs": SCRIPT,
    "chat-verify.mjs": SCRIPT,
    "chat.css": STYLE,
    "chat.mjs": SCRIPT,
    "cid.mjs": SCRIPT,
    "errors.mjs": SCRIPT,
    "gateways.mjs": SCRIPT,
    "hls.LICENSE.txt": TEXT,
    "hls.VERSION.txt": TEXT,
    "hls.light.min.mjs": SCRIPT,
    "hls.worker.js": SCRIPT,
    "icon.svg": "image/svg+xml",
    "loader.mjs": SCRIPT,
    "secp256k1.LICENSE.txt": TEXT,
    "secp256k1.VERSION.txt": TEXT,
    "secp256k1.mjs": SCRIPT,
    "sha256.mjs": SCRIPT,
    "style.css": STYLE,
    "unixfs.mjs": SCRIPT,
    "verify.mjs": SCRIPT,
    "watch.mjs": SCRIPT,
};

/// Names the content of all files.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = Sha256::new();
    for Asset { name, bytes, .. } in ASSETS {
        hasher.update(name);
        hasher.update([0]);
        hasher.update(Sha256::digest(bytes));
    }
    let digest = hasher.finalize();
    data_encoding::HEXLOWER.encode(digest.get(..8).unwrap_or_default())
});

/// The files, compressed once.
static TEXTS: LazyLock<Vec<(&'static Asset, Text)>> =
    LazyLock::new(|| ASSETS.iter().map(|asset| (asset, Text::new(asset.bytes.to_vec()))).collect());

/// Where a file is.
pub(super) fn address(name: &str) -> String {
    format!("/assets/{}/{name}", *VERSION)
}

/// A file of this version; those of others are gone.
pub(super) async fn asset(
    path: Result<RawPathParams, RawPathParamsRejection>,
    asked: HeaderMap,
) -> Response {
    let part = |name| {
        let pair = path.iter().flat_map(RawPathParams::iter).find(|(key, _)| *key == name);
        pair.map(|(_, value)| value)
    };
    let found = TEXTS
        .iter()
        .filter(|_| part("version") == Some(VERSION.as_str()))
        .find(|(asset, _)| part("name") == Some(asset.name));
    let Some((asset, text)) = found else {
        let headers = [(header::CACHE_CONTROL, "public, max-age=1")];
        return (StatusCode::NOT_FOUND, headers, "no such file").into_response();
    };
    let mut headers = HeaderMap::with_capacity(8);
    set(&mut headers, header::CACHE_CONTROL, "public, max-age=31536000, immutable");
    set(&mut headers, RESOURCE_POLICY, "cross-origin");
    text.answer(HeaderValue::from_static(asset.media_type), headers, &asked)
}

/// A text, plain and compressed, and its name.
#[derive(Clone, Debug)]
pub(super) struct Text {
    bytes: Bytes,
    gzip: Option<Bytes>,
    etag: Arc<str>,
}

impl Text {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        // Writing into memory does not fail.
        let gzip = encoder.write_all(&bytes).and_then(|()| encoder.finish()).ok();
        let gzip = gzip.filter(|gzip| gzip.len() < bytes.len()).map(Bytes::from);
        Self { etag: etag(&bytes), bytes: bytes.into(), gzip }
    }

    /// Sends it in the form that the client takes, or tells that it has it already.
    pub(super) fn answer(
        &self,
        media_type: HeaderValue,
        mut headers: HeaderMap,
        asked: &HeaderMap,
    ) -> Response {
        // One name for both forms: a weak one, since they are the same text.
        let etag = format!("W/{}", self.etag);
        set(&mut headers, header::ETAG, &etag);
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if has(asked, &etag) {
            return not_modified(headers);
        }
        headers.insert(header::CONTENT_TYPE, media_type);
        let gzip = self.gzip.as_ref().filter(|_| takes_gzip(asked));
        if gzip.is_some() {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        (headers, gzip.unwrap_or(&self.bytes).clone()).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the `VERSION.txt` of a package says of a copied file.
    fn recorded(name: &str) -> &'static str {
        let text = match name {
            "secp256k1.mjs" => include_str!("assets/secp256k1.VERSION.txt"),
            _ => include_str!("assets/hls.VERSION.txt"),
        };
        let line = text.lines().find(|line| line.ends_with(name)).unwrap();
        line.split(' ').next().unwrap()
    }

    #[test]
    fn copied_files_are_the_published_ones() {
        for name in ["hls.light.min.mjs", "hls.worker.js", "secp256k1.mjs"] {
            let asset = ASSETS.iter().find(|asset| asset.name == name).unwrap();
            let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(asset.bytes));
            assert_eq!(digest, recorded(name), "{name}");
        }
    }

    #[test]
    fn every_file_that_a_script_imports_is_there() {
        let scripts = ASSETS.iter().filter(|asset| asset.media_type == SCRIPT);
        for Asset { name, bytes, .. } in scripts.filter(|asset| !asset.name.starts_with("hls")) {
            let text = std::str::from_utf8(bytes).unwrap();
            for import in text.split(" from \"./").skip(1) {
                let wanted = import.split('"').next().unwrap();
                assert!(ASSETS.iter().any(|asset| asset.name == wanted), "{name}: {wanted}");
            }
        }
    }
}
