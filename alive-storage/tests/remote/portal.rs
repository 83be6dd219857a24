//! A Skynet portal: [`Portal`].

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use alive_storage::{MerkleRoot, SECTOR_BYTES, Skyfile, SkyfileMetadata, Skylink};
use axum::response::Response;

use crate::server::{Request, answer};

/// What a portal does otherwise than it should.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Habit {
    #[default]
    Honest,
    /// It says another mode, as portals may.
    OwnMode,
    /// It stores other content than it was given.
    Forgery,
    /// It gives whole sectors only.
    NoBaseSector,
    /// It changes a byte of what it gives.
    Flip,
    /// It gives part of what it should.
    Truncate,
    /// It says a bit field that is not the link's.
    Contradict,
    /// It gives an error page.
    Page,
    /// It gives more than a sector.
    Endless,
}

/// A portal of our own that answers as the documented one does. The tests of the program take this file, too.
#[derive(Clone, Default)]
pub(crate) struct Portal {
    pub(crate) sectors: Arc<Mutex<HashMap<MerkleRoot, Vec<u8>>>>,
    pub(crate) habit: Habit,
}

impl Portal {
    pub(crate) fn keep(&self, file: &Skyfile) -> Skylink {
        let link = file.skylink();
        let sector = file.to_sector();
        self.sectors.lock().unwrap().insert(link.merkle_root().unwrap(), sector);
        link
    }

    fn upload(&self, request: &Request) -> Response {
        let (head, data) = request.field("file").unwrap();
        let quoted = |name: &str| {
            let from = head.split_once(&format!("{name}=\"")).unwrap().1;
            from.split_once('"').unwrap().0.to_owned()
        };
        let media_type = head.split_once("Content-Type: ").unwrap().1.to_owned();
        let mode = if self.habit == Habit::OwnMode { 0o600 } else { 0o644 };
        let data = if self.habit == Habit::Forgery { "forged".into() } else { data };
        let metadata =
            SkyfileMetadata::of_upload(&quoted("filename"), &media_type, mode, data.len() as u64);
        let link = self.keep(&Skyfile::new(metadata, data).unwrap());
        let bitfield = link.bitfield() + if self.habit == Habit::Contradict { 4 } else { 0 };
        let root = link.merkle_root().unwrap();
        let said = format!(r#"{{"skylink":"{link}","merkleroot":"{root}","bitfield":{bitfield}}}"#);
        answer(200, "application/json", said)
    }

    /// Bytes of a sector, as far as they are not zeros at its end.
    fn sector(&self, root: &MerkleRoot) -> Option<Vec<u8>> {
        self.sectors.lock().unwrap().get(root).cloned()
    }

    fn give(&self, mut bytes: Vec<u8>) -> Response {
        match self.habit {
            Habit::Flip => bytes[200] ^= 1,
            Habit::Truncate => bytes.truncate(150),
            Habit::Endless => bytes.resize(SECTOR_BYTES * 2, 7),
            Habit::Page => return answer(200, "text/html", "<h1>Sorry</h1>"),
            _ => {}
        }
        answer(200, "application/octet-stream", bytes)
    }

    pub(crate) fn handle(&self, request: &Request) -> Response {
        let missing = || answer(404, "application/json", r#"{"message":"not found"}"#);
        let (path, known) = (request.path(), |link: &str| {
            let link: Skylink = link.parse().ok()?;
            self.sector(&link.merkle_root()?).map(|sector| (link, sector))
        });
        match request.method.as_str() {
            "POST" if path == "/skynet/skyfile" => self.upload(request),
            "POST" => match known(path.strip_prefix("/skynet/pin/").unwrap()) {
                Some((link, _)) => {
                    answer(200, "application/json", format!(r#"{{"skylink":"{link}"}}"#))
                }
                None => missing(),
            },
            "HEAD" => known(&path[1..]).map_or_else(missing, |_| answer(200, "text/plain", "")),
            "GET" if path == "/skynet/root" => {
                let root: [u8; 32] = from_hex(&request.query("root").unwrap());
                assert_eq!(request.query("offset").as_deref(), Some("0"));
                assert_eq!(request.query("length").as_deref(), Some("4194304"));
                self.sector(&root.into()).map_or_else(missing, |mut sector| {
                    sector.resize(SECTOR_BYTES, 0);
                    self.give(sector)
                })
            }
            // A player asks for the file itself.
            "GET" if !path.starts_with("/skynet/") => {
                known(&path[1..]).map_or_else(missing, |(link, mut sector)| {
                    sector.resize(SECTOR_BYTES, 0);
                    let file = sector[link.range().unwrap()].to_vec().into();
                    let file = Skyfile::parse(&file).unwrap();
                    answer(200, "video/mp2t", file.data().clone())
                })
            }
            "GET" => match known(path.strip_prefix("/skynet/basesector/").unwrap()) {
                Some(_) if self.habit == Habit::NoBaseSector => missing(),
                Some((link, mut sector)) => {
                    sector.resize(SECTOR_BYTES, 0);
                    self.give(sector[link.range().unwrap()].to_vec())
                }
                None => missing(),
            },
            other => panic!("{other} {path}"),
        }
    }
}

fn from_hex(text: &str) -> [u8; 32] {
    let byte = |at: usize| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).unwrap();
    std::array::from_fn(byte)
}
