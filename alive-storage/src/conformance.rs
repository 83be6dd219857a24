//! The golden vectors of kinds `storage.*` that this crate knows. Source: `spec/storage.md`, "Vectors".

mod skynet;

use std::{collections::HashSet, convert::Infallible, io::Cursor};

use alive_core::conformance::{Kind, judge};
use bytes::Bytes;
use chacha20::{
    ChaCha20,
    cipher::{KeyIvInit, StreamCipher},
};
use data_encoding::BASE64;
use multibase::Base;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    block::NewBlock,
    car::{CarDecoder, CarError, CarPolicy, CarSummary, CarVerifier, import_car},
    cid::{self, Cid, CidText, Version},
    store::MemoryStore,
    unixfs::{self, ImportOptions, Importer, Profile, Root},
};

/// The kinds and their checks.
pub const KINDS: &[Kind] = &[
    Kind { name: "storage.car", check: check_car },
    Kind { name: "storage.cid", check: check_cid },
    Kind { name: "storage.sia_merkle", check: skynet::check_sia_merkle },
    Kind { name: "storage.skyfile", check: skynet::check_skyfile },
    Kind { name: "storage.skylink", check: skynet::check_skylink },
    Kind { name: "storage.unixfs", check: check_unixfs },
];

/// Root blocks up to this size are part of the answer, in bytes.
const SHOWN_ROOT: usize = 600;
/// Content is made in pieces of this size, which divides no chunk size evenly.
const PIECE: usize = 100_000;

fn check_car(input: &Value, want: &Value) -> Result<(), String> {
    judge(describe_car(input), want)
}

fn check_cid(input: &Value, want: &Value) -> Result<(), String> {
    judge(describe_cid(input), want)
}

fn check_unixfs(input: &Value, want: &Value) -> Result<(), String> {
    judge(import(input), want)
}

/// Verifies an archive, in one piece and in small ones, and imports it: all must say the same.
fn describe_car(input: &Value) -> Result<Value, String> {
    let car = BASE64.decode(text(input, "car_b64")?.as_bytes()).map_err(|e| e.to_string())?;
    let root = cid::parse(text(input, "expected_root")?).map_err(|e| e.to_string())?;
    let mut policy = CarPolicy::exchange(car.len() as u64);
    policy.strict_roots =
        input.get("strict_roots").and_then(Value::as_bool).ok_or("strict_roots is missing")?;
    let store = MemoryStore::default();
    let imported = import_car(Cursor::new(&car), &store, &[root], policy);
    for size in [1, 7, 100, car.len().max(1)] {
        let pushed = verify_pieces(&car, size, &root, policy);
        if pushed.as_ref().ok() != imported.as_ref().ok() {
            return Err(format!("in pieces of {size}: {pushed:?}, at once: {imported:?}"));
        }
    }
    let summary = imported.map_err(|e| e.to_string())?;
    let content = unixfs::read_file(&store, root, usize::MAX).map_err(|e| e.to_string())?;
    Ok(json!({
        "root": root.to_string(),
        "roots": summary.roots.iter().map(Cid::to_string).collect::<Vec<_>>(),
        "block_count": summary.blocks,
        "file_size": content.len(),
        "file_sha256_hex": hex::encode(Sha256::digest(&content)),
    }))
}

fn verify_pieces(
    car: &[u8],
    size: usize,
    root: &Cid,
    policy: CarPolicy,
) -> Result<CarSummary, CarError> {
    let mut decoder = CarDecoder::new(policy.limit_bytes);
    let mut verifier = CarVerifier::new(policy);
    for piece in car.chunks(size) {
        decoder.push(Bytes::copy_from_slice(piece));
        while let Some(block) = decoder.poll()? {
            verifier.add(&block)?;
        }
    }
    decoder.finish()?;
    let header = decoder.header().ok_or(CarError::Truncated { offset: 0 })?;
    verifier.finish(header, &[*root])
}

fn describe_cid(input: &Value) -> Result<Value, String> {
    let text: CidText = text(input, "cid")?.parse().map_err(|e| format!("{e}"))?;
    let cid = text.cid();
    let v1 = cid::to_v1(cid);
    Ok(json!({
        "version": u64::from(cid.version()),
        "codec": cid.codec(),
        "hash_code": cid.hash().code(),
        "digest_hex": hex::encode(cid.hash().digest()),
        "multihash_hex": hex::encode(cid.hash().to_bytes()),
        "cid_bytes_hex": hex::encode(cid.to_bytes()),
        "v0": cid::to_v0(cid).map(|v0| v0.to_string()),
        "v1_base32": cid::to_text(&v1, Base::Base32Lower),
        "v1_base36": cid::to_text(&v1, Base::Base36Lower),
        "v1_base58btc": cid::to_text(&v1, Base::Base58Btc),
        "alive_accepts": text.is_accepted_on_chain(),
    }))
}

fn import(input: &Value) -> Result<Value, String> {
    let mut content = Content::new(input)?;
    let mut importer = Importer::new(options(input)?);
    let mut seen = Seen::default();
    let mut sink = |block: &NewBlock<'_>| {
        seen.add(block);
        Ok::<(), Infallible>(())
    };
    while let Some(piece) = content.next_piece() {
        let Ok(()) = importer.push(piece, &mut sink);
    }
    let Ok(root) = importer.finish(&mut sink);
    Ok(seen.describe(&root))
}

/// What the answer needs of the blocks.
#[derive(Default)]
struct Seen {
    unique: HashSet<[u8; 32]>,
    last: Option<Vec<u8>>,
}

impl Seen {
    fn add(&mut self, block: &NewBlock<'_>) {
        // Two codecs of one digest would be two blocks, but no raw leaf is a valid dag-pb node of the same file.
        if let Ok(digest) = block.cid().hash().digest().try_into() {
            self.unique.insert(digest);
        }
        self.last = (block.size() <= SHOWN_ROOT).then(|| block.to_bytes().to_vec());
    }

    fn describe(&self, root: &Root) -> Value {
        let mut out = json!({
            "cid": root.cid.to_string(),
            "file_size": root.file_size,
            "block_count": root.blocks,
            "unique_blocks": self.unique.len(),
            "dag_size": root.dag_size,
        });
        if let (Some(block), Some(out)) = (&self.last, out.as_object_mut()) {
            out.insert("root_block_hex".into(), hex::encode(block).into());
        }
        out
    }
}

fn options(input: &Value) -> Result<ImportOptions, String> {
    let profile: Profile = text(input, "profile")?.parse().map_err(|e| format!("{e}"))?;
    let mut options = ImportOptions::from(profile);
    if let Some(size) = number(input, "chunk_size")? {
        options = options.with_chunk_size(size).map_err(|e| e.to_string())?;
    }
    if let Some(links) = number(input, "max_links")? {
        options = options.with_max_links(links).map_err(|e| e.to_string())?;
    }
    if let Some(version) = number(input, "cid_version")? {
        let version = Version::try_from(version as u64).map_err(|e| e.to_string())?;
        options = options.with_cid_version(version);
    }
    if let Some(raw) = input.get("raw_leaves") {
        let raw = raw.as_bool().ok_or("raw_leaves is no boolean")?;
        options = options.with_raw_leaves(raw);
    }
    Ok(options)
}

/// Content of a case, made piece by piece.
struct Content {
    left: usize,
    source: Source,
    buffer: Vec<u8>,
}

enum Source {
    ChaCha(Box<ChaCha20>),
    /// All of it is in the buffer.
    Literal,
    XorShift(u64),
    Zero,
}

impl Content {
    fn new(input: &Value) -> Result<Self, String> {
        let literal = ["text_b64", "data_b64"].into_iter().find(|name| input.get(name).is_some());
        if let Some(literal) = literal {
            let data = BASE64.decode(text(input, literal)?.as_bytes());
            let data = data.map_err(|e| e.to_string())?;
            return Ok(Self { left: data.len(), source: Source::Literal, buffer: data });
        }
        let left = number(input, "size")?.ok_or("size is missing")?;
        let seed = || text(input, "seed");
        let source = match text(input, "generator")? {
            "chacha20-sha256" => {
                let key: [u8; 32] = Sha256::digest(seed()?).into();
                Source::ChaCha(Box::new(ChaCha20::new(&key.into(), &[0; 12].into())))
            }
            "xorshift64star" => match seed()?.parse().map_err(|e| format!("seed: {e}"))? {
                0 => Source::XorShift(0x9e37_79b9_7f4a_7c15),
                seed => Source::XorShift(seed),
            },
            "zero" => Source::Zero,
            other => return Err(format!("unknown generator {other:?}")),
        };
        Ok(Self { left, source, buffer: vec![0; PIECE] })
    }

    /// The rest of it in one piece.
    fn into_bytes(mut self) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.left);
        while let Some(piece) = self.next_piece() {
            all.extend_from_slice(piece);
        }
        all
    }

    fn next_piece(&mut self) -> Option<&[u8]> {
        let len = self.left.min(self.buffer.len());
        self.left -= len;
        let piece = self.buffer.get_mut(..len).filter(|piece| !piece.is_empty())?;
        match &mut self.source {
            Source::ChaCha(stream) => {
                piece.fill(0);
                stream.apply_keystream(piece);
            }
            Source::Literal | Source::Zero => {}
            Source::XorShift(state) => {
                for word in piece.chunks_mut(8) {
                    let bytes = xorshift64star(state).to_le_bytes();
                    word.copy_from_slice(bytes.get(..word.len()).unwrap_or_default());
                }
            }
        }
        Some(piece)
    }
}

fn xorshift64star(state: &mut u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    state.wrapping_mul(0x2545_f491_4f6c_dd1d)
}

fn text<'a>(input: &'a Value, field: &str) -> Result<&'a str, String> {
    input.get(field).and_then(Value::as_str).ok_or_else(|| format!("{field} is missing"))
}

fn number(input: &Value, field: &str) -> Result<Option<usize>, String> {
    let Some(value) = input.get(field) else { return Ok(None) };
    let number = value.as_u64().and_then(|number| number.try_into().ok());
    number.map(Some).ok_or_else(|| format!("{field} is no whole number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_starts_as_the_spec_says() {
        let mut state = 1;
        let words = [xorshift64star(&mut state), xorshift64star(&mut state)];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(hex::encode(bytes), "1ddd6c894bcee4471d6579e0a8a6cfab");
    }

    #[test]
    fn content_comes_in_pieces_without_a_seam() {
        let input = json!({"generator": "xorshift64star", "seed": "7", "size": PIECE * 2 + 3});
        let all = Content::new(&input).unwrap().into_bytes();
        let mut state = 7;
        let mut want = Vec::new();
        while want.len() < all.len() {
            want.extend(xorshift64star(&mut state).to_le_bytes());
        }
        assert_eq!(all.len(), PIECE * 2 + 3);
        assert!(want.starts_with(&all));
    }
}
