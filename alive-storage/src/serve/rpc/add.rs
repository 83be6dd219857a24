//! `add`: files in, ids out, exactly as `ipfs add` names them.

use std::{io, sync::Arc};

use axum::{body::Body, extract::State, http::HeaderMap, response::Response};
use bytes::Bytes;
use cid::Version;
use multibase::Base;
use percent_encoding::percent_decode_str;
use serde::Serialize;
use tokio::sync::mpsc;

use super::{
    Rpc,
    answer::{Params, Refusal, lines, refused},
};
use crate::{
    block::NewBlock,
    cid::{self as ids, Cid},
    serve::{
        rpc::tree::Tree,
        upload::{Part, Upload, UploadError},
    },
    storage::BlockStorage,
    store::{BlockBatch as _, BlockStore},
    unixfs::{self, ImportOptions, Root},
};

/// Longest path of a file, in bytes.
const MAX_PATH: usize = 1024;
/// Pieces of an upload that wait for the disk.
const AHEAD: usize = 8;

/// What is told about an added file or directory, or about its progress.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Record {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    /// As text, which is how Kubo sends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<String>,
}

/// Stores the files of an upload.
pub(super) async fn add<S: BlockStore + 'static>(
    State(rpc): State<Arc<Rpc<S>>>,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let how = How::asked(&params)?;
    let _permit = rpc.upload().await?;
    let mut upload = Upload::new(&headers, body, rpc.config.upload_bytes)?;
    let (mut added, mut tree) = (Vec::new(), Tree::default());
    while let Some(part) = upload.next().await? {
        let path = file_name(&part)?;
        if part.media_type() == Some("application/x-directory") {
            tree.directory(&path)?;
            continue;
        }
        let root = import(rpc.storage.clone(), &how, part).await?;
        if how.wrap || path.contains('/') {
            tree.file(&path, root)?;
        }
        added.push((path, root));
    }
    let directories = how.directories(&rpc.storage, tree).await?;
    added.extend(directories);
    if added.is_empty() {
        return Err(Refusal::ArgumentMissing("file"));
    }
    if how.pin && !how.only_hash {
        pin(rpc.storage.clone(), how.roots(&added)).await?;
    }
    Ok(lines(&how.records(&added)))
}

/// How files are to be added.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "they are the switches of a call")]
struct How {
    options: ImportOptions,
    base: Base,
    only_hash: bool,
    pin: bool,
    progress: bool,
    quieter: bool,
    /// Whether all is put into one directory.
    wrap: bool,
}

impl How {
    fn asked(params: &Params) -> Result<Self, Refusal> {
        for name in [
            "trickle",
            "inline",
            "nocopy",
            "fscache",
            "to-files",
            "preserve-mode",
            "preserve-mtime",
        ] {
            if !matches!(params.get(name), None | Some("false" | "0")) {
                return Err(refused(
                    name,
                    params.get(name).unwrap_or_default(),
                    "not offered here",
                ));
            }
        }
        if let Some(other) = params.get("hash").filter(|hash| *hash != "sha2-256") {
            return Err(refused("hash", other, "sha2-256 only"));
        }
        Ok(Self {
            options: import_options(params)?,
            base: params.base()?,
            only_hash: params.flag("only-hash", false)?,
            pin: params.flag("pin", true)?,
            progress: params.flag("progress", false)?,
            quieter: params.flag("quieter", false)?,
            wrap: params.flag("wrap-with-directory", false)?,
        })
    }

    /// Makes the directories of an upload, children first. The one around all comes last and has no name.
    async fn directories<S: BlockStore + 'static>(
        &self,
        storage: &BlockStorage<S>,
        tree: Tree,
    ) -> Result<Vec<(String, Root)>, Refusal> {
        if tree.is_empty() && !self.wrap {
            return Ok(Vec::new());
        }
        let (storage, version, keep) =
            (storage.clone(), self.options.cid_version(), !self.only_hash);
        let wrap = self.wrap;
        let work = move || {
            let mut blocks = Vec::new();
            let mut made = tree.make(version, &mut blocks)?;
            if !wrap {
                // What lies at the top has no directory around it.
                made.pop();
            }
            if keep {
                let mut batch = storage.store().batch()?;
                blocks.iter().try_for_each(|block| batch.add(&block.into()))?;
                batch.commit()?;
            }
            Ok(made)
        };
        tokio::task::spawn_blocking(work).await?
    }

    /// What is pinned: what lies in no other that was added.
    fn roots(&self, added: &[(String, Root)]) -> Vec<Cid> {
        match added.last() {
            Some((_, around)) if self.wrap => vec![around.cid],
            _ => {
                let top = added.iter().filter(|(path, _)| !path.contains('/'));
                top.map(|(_, root)| root.cid).collect()
            }
        }
    }

    fn records(&self, added: &[(String, Root)]) -> Vec<Record> {
        let last = added.len().saturating_sub(1);
        let added = added.iter().enumerate().filter(|(at, _)| !self.quieter || *at == last);
        added.flat_map(|(_, (name, root))| self.record(name, root)).collect()
    }

    fn record(&self, name: &str, root: &Root) -> impl Iterator<Item = Record> + use<> {
        let hash = ids::to_text(&root.cid, self.base);
        // A file without a name is called by its id, the directory around all has none.
        let name = if name.is_empty() && !self.wrap { hash.clone() } else { name.to_owned() };
        let progress = self.progress.then(|| Record {
            name: name.clone(),
            hash: None,
            bytes: Some(root.file_size),
            size: None,
        });
        let size = Some(root.dag_size.to_string());
        progress.into_iter().chain([Record { name, hash: Some(hash), bytes: None, size }])
    }
}

/// The importer's options that Kubo's command line would choose.
fn import_options(params: &Params) -> Result<ImportOptions, Refusal> {
    let version = match params.get("cid-version") {
        None | Some("0") => Version::V0,
        Some("1") => Version::V1,
        Some(other) => return Err(refused("cid-version", other, "0 or 1")),
    };
    let raw_leaves = params.flag("raw-leaves", version == Version::V1)?;
    let mut options =
        ImportOptions::default().with_cid_version(version).with_raw_leaves(raw_leaves);
    if let Some(chunker) = params.get("chunker").filter(|chunker| *chunker != "default") {
        let size = chunker.strip_prefix("size-").and_then(|size| size.parse().ok());
        let chunked = size.and_then(|size| options.with_chunk_size(size).ok());
        options =
            chunked.ok_or_else(|| refused("chunker", chunker, "size-N with N up to 2096896"))?;
    }
    if let Some(links) = params.number("max-file-links")? {
        let wide = usize::try_from(links).ok().and_then(|links| options.with_max_links(links).ok());
        options =
            wide.ok_or_else(|| refused("max-file-links", &links.to_string(), "2 to 32000"))?;
    }
    Ok(options)
}

/// The name of a part, which clients send percent-encoded: a relative path that leads nowhere else.
fn file_name(part: &Part) -> Result<String, Refusal> {
    clean_path(part.file_name().unwrap_or_default())
}

fn clean_path(name: &str) -> Result<String, Refusal> {
    let refuse = || Refusal::Path(name.chars().take(32).collect());
    let decoded = percent_decode_str(name).decode_utf8().map_err(|_| refuse())?;
    let path = decoded.trim_matches('/');
    let bad = |part: &str| {
        matches!(part, "" | "." | "..") || part.contains(|c: char| c.is_control() || c == '\\')
    };
    if !path.is_empty() && path.split('/').any(bad) || path.len() > MAX_PATH {
        return Err(refuse());
    }
    Ok(path.to_owned())
}

/// Cuts a part while it comes in, in memory that does not grow with it.
async fn import<S: BlockStore + 'static>(
    storage: BlockStorage<S>,
    how: &How,
    mut part: Part,
) -> Result<Root, Refusal> {
    let (sender, pieces) = mpsc::channel(AHEAD);
    let reader = PieceReader { pieces, piece: Bytes::new() };
    let (options, only_hash) = (how.options, how.only_hash);
    let work = tokio::task::spawn_blocking(move || {
        if only_hash {
            let mut nowhere = |_: &NewBlock<'_>| Ok::<_, io::Error>(());
            unixfs::import(reader, options, &mut nowhere)
                .map_err(|source| crate::StoreError::Io { what: "reading the upload", source })
        } else {
            storage.with_options(options).import(reader)
        }
    });
    let sent = send(&mut part, &sender).await;
    if sent.is_err() {
        // The importer must not take the beginning of a file for the whole.
        let broken = io::Error::new(io::ErrorKind::UnexpectedEof, "the upload is broken off");
        let _ = sender.send(Err(broken)).await;
    }
    drop(sender);
    let root = work.await?;
    sent?;
    Ok(root?)
}

/// Hands the bytes over until they end or the importer has failed.
async fn send(
    part: &mut Part,
    sender: &mpsc::Sender<io::Result<Bytes>>,
) -> Result<(), UploadError> {
    while let Some(piece) = part.next().await? {
        if sender.send(Ok(piece)).await.is_err() {
            break;
        }
    }
    Ok(())
}

async fn pin<S: BlockStore + 'static>(
    storage: BlockStorage<S>,
    roots: Vec<Cid>,
) -> Result<(), Refusal> {
    let work = move || roots.iter().try_for_each(|root| storage.store().pin(root));
    Ok(tokio::task::spawn_blocking(work).await??)
}

/// Pieces from a channel as a reader, for a thread that may block.
struct PieceReader {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

impl io::Read for PieceReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                None => return Ok(0),
                Some(piece) => self.piece = piece?,
            }
        }
        let len = buffer.len().min(self.piece.len());
        let (to, from) = (buffer.get_mut(..len), self.piece.split_to(len));
        if let Some(to) = to {
            to.copy_from_slice(&from);
        }
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in
            ["../a", "a/../b", "a//b", "a/./b", "..", "a%2F..%2Fb", "a\nb", "a%00", "a\\b", "%ff"]
        {
            assert!(clean_path(name).is_err(), "{name}");
        }
        for (name, path) in
            [("a.ts", "a.ts"), ("/a/b", "a/b"), ("a%2Fb%20c", "a/b c"), ("", ""), ("dir/", "dir")]
        {
            assert_eq!(clean_path(name).unwrap(), path);
        }
    }
}
