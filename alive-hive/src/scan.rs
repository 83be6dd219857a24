//! Passes over blocks that cannot hold an operation of ours before any of their JSON is parsed: [`Scanner`].
//!
//! # Why nothing is missed
//! A text of JSON that reads as our id either stands there byte for byte between its quotes, or has an escape of a
//! character that needs none: `\u00` and a digit from 2 to 7. One pass over the transactions of a block looks for both and
//! for the end of the transactions. The end, `],"block_id":"`, cannot be inside a text, where its quotes would have
//! backslashes. It could stand deeper inside the transactions, but then header and id around it do not fit: every block
//! that is passed over has the id that its header hashes to and names the one before it. What has another form than
//! that in which hived writes blocks (white space, another order of members, an extension of a header that is unknown)
//! is not passed over but left to the parser.

use fearless_simd::{Level, dispatch, prelude::*};
use memchr::{
    arch::all::packedpair::{HeuristicFrequencyRank, Pair},
    memchr,
    memmem::{self, Finder},
};
use serde_json::Value;

use crate::{
    block_id::BlockId,
    header::{BlockHeader, HeaderExtension, SignedHeader},
    hex_text::read_hex_bytes,
    merkle::MerkleRoot,
    signature::RecoverableSignature,
};

/// Looks through answers of `block_api.get_block_range` and `block_api.get_block` for one `custom_json` id.
#[derive(Clone, Debug)]
pub(crate) struct Scanner {
    /// The id between its quotes.
    needle: Box<[u8]>,
    /// Two bytes of the needle that are rare in blocks.
    rare: [(usize, u8); 2],
    end: Finder<'static>,
    /// The vectors that this processor has.
    level: Level,
}

/// A block of an answer.
#[derive(Clone, Debug)]
pub(crate) struct Span<'t> {
    /// Header and signature, which hash to `block_id`.
    pub(crate) header: SignedHeader,
    pub(crate) block_id: BlockId,
    /// Whether it may hold an operation of ours and must be parsed.
    pub(crate) is_ours: bool,
    /// The whole block.
    pub(crate) text: &'t [u8],
}

/// What ends the transactions of a block.
const END: &[u8] = br#"],"block_id":""#;
/// What an escape of a character of ASCII begins with.
const ESCAPE: &[u8] = br"\u00";
/// Longest name of a witness and longest key text, in bytes. Longer ones are left to the parser.
const MAX_NAME: usize = 64;
/// Longest list of header extensions, in bytes. Longer ones are left to the parser.
const MAX_EXTENSIONS: usize = 512;

impl Scanner {
    /// `None` for an id that has a character which writers of JSON may escape: blocks must be parsed then.
    pub(crate) fn new(id: &str) -> Option<Self> {
        let is_plain =
            |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\' | b'/');
        if id.is_empty() || id.len() > MAX_NAME || !id.as_bytes().iter().all(is_plain) {
            return None;
        }
        let needle = format!("\"{id}\"").into_bytes();
        let pair = Pair::with_ranker(&needle, RareInBlocks)?;
        let at = |index: u8| needle.get(usize::from(index)).map(|byte| (usize::from(index), *byte));
        let rare = [at(pair.index1())?, at(pair.index2())?];
        Some(Self { needle: needle.into(), rare, end: Finder::new(END), level: Level::new() })
    }

    /// The block of `{"block":{..}}` as hived writes it; `None` if it is anything else.
    pub(crate) fn single<'t>(&self, result: &'t [u8]) -> Option<Vec<Span<'t>>> {
        let (span, rest) = self.block(result.strip_prefix(br#"{"block":"#)?)?;
        (rest == b"}").then(|| vec![span])
    }

    /// The blocks of `{"blocks":[..]}` as hived writes it; `None` if it is anything else.
    pub(crate) fn range<'t>(&self, result: &'t [u8]) -> Option<Vec<Span<'t>>> {
        let mut rest = result.strip_prefix(br#"{"blocks":["#)?;
        let mut spans: Vec<Span<'t>> = Vec::new();
        loop {
            let (span, after) = self.block(rest)?;
            if spans.last().is_some_and(|last| last.block_id != span.header.header.previous) {
                return None;
            }
            spans.push(span);
            match after.strip_prefix(b",") {
                Some(next) => rest = next,
                None => return (after == b"]}").then_some(spans),
            }
        }
    }

    /// One block, and what follows it.
    fn block<'t>(&self, text: &'t [u8]) -> Option<(Span<'t>, &'t [u8])> {
        let mut cursor = Cursor(text);
        let header = cursor.header()?;
        let (end, is_ours) = self.end(cursor.0)?;
        // A block with a root of nothing has no transactions, and no other has none.
        let is_empty = end == 0;
        if is_empty != (header.header.transaction_merkle_root == MerkleRoot::EMPTY) {
            return None;
        }
        // Blanks between the brackets are no transaction; the parser tells.
        if cursor.0.first().is_some_and(u8::is_ascii_whitespace) {
            return None;
        }
        cursor.skip(end)?;
        cursor.eat(END)?;
        let block_id = BlockId::from_bytes(cursor.hex()?);
        cursor.eat(br#"","signing_key":""#)?;
        cursor.text(MAX_NAME)?;
        cursor.eat(br#","transaction_ids":["#)?;
        // Ids have no bracket; what stands there is looked at by nobody.
        cursor.skip(memchr(b']', cursor.0)?)?;
        cursor.eat(b"]}")?;
        let is_right = header.block_id().is_ok_and(|real| real == block_id);
        let text = text.get(..text.len() - cursor.0.len())?;
        is_right.then_some((Span { header, block_id, is_ours, text }, cursor.0))
    }

    /// Where the transactions end, and whether there may be an operation of ours among them.
    fn end(&self, transactions: &[u8]) -> Option<(usize, bool)> {
        match dispatch!(self.level, simd => self.search(simd, transactions))? {
            (at, Found::End) => Some((at, false)),
            // Nothing that follows changes that.
            (at, Found::Ours) => Some((at + self.end.find(transactions.get(at..)?)?, true)),
        }
    }

    /// The first place where the transactions end, or from which on an operation of ours may stand.
    #[expect(clippy::inline_always, reason = "only then it is compiled for these vectors")]
    #[inline(always)]
    fn search<S: Simd>(&self, simd: S, text: &[u8]) -> Option<(usize, Found)> {
        let wide = S::u8s::LEN;
        let from = |at: usize| text.get(at..).unwrap_or_default().chunks_exact(wide);
        let [(one_at, one), (two_at, two)] = self.rare;
        let windows = from(0).zip(from(1)).zip(from(3)).zip(from(one_at)).zip(from(two_at));
        let mut done = 0;
        for ((((at, next), third), ones), twos) in windows {
            let is = |bytes: &[u8], byte: u8| S::u8s::from_slice(simd, bytes).simd_eq(byte);
            // Two bytes of each of the three at once, at the place where it begins.
            let escape = is(at, b'\\') & is(next, b'u');
            let end = is(at, b']') & is(third, b'b');
            let id = is(ones, one) & is(twos, two);
            let any = escape | end | id;
            if any.any_true() {
                let mut places = any.to_bitmask();
                while places != 0 {
                    let place = done + places.trailing_zeros() as usize;
                    if let Some(found) = self.look(text, place) {
                        return Some((place, found));
                    }
                    places &= places - 1;
                }
            }
            done += wide;
        }
        (done..text.len()).find_map(|place| Some((place, self.look(text, place)?)))
    }

    /// What begins here.
    fn look(&self, text: &[u8], at: usize) -> Option<Found> {
        let here = text.get(at..)?;
        if here.starts_with(END) {
            return Some(Found::End);
        }
        let is_escape = here.starts_with(ESCAPE) && is_needless_escape(text, at);
        (is_escape || here.starts_with(&self.needle)).then_some(Found::Ours)
    }
}

/// What is looked for in transactions.
#[derive(Clone, Copy, Debug)]
enum Found {
    /// What ends them.
    End,
    /// Our id, or a text that may be another way to write it.
    Ours,
}

/// How often bytes are in the JSON of blocks: hexadecimal digits and quotes are everywhere.
struct RareInBlocks;

impl HeuristicFrequencyRank for RareInBlocks {
    fn rank(&self, byte: u8) -> u8 {
        match byte {
            b'"' => 255,
            b'0'..=b'9' | b'a'..=b'f' => 250,
            b'i' | b'n' | b'o' | b'p' | b'r' | b's' | b't' => 220,
            b'g' | b'h' | b'l' | b'm' | b'u' | b'_' | b',' | b':' | b'[' | b']' | b'{' | b'}' => {
                180
            }
            b'-' | b'.' | b'A'..=b'Z' => 90,
            b'k' | b'v' | b'w' | b'y' => 60,
            b'j' | b'q' | b'x' | b'z' => 20,
            _ => 10,
        }
    }
}

/// Whether the `\u00` here is an escape of a character that needs none.
fn is_needless_escape(text: &[u8], at: usize) -> bool {
    let is_one = matches!(text.get(at + ESCAPE.len()), Some(b'2'..=b'7'));
    // After an even number of other backslashes it is one itself; else it is what the one before it escapes.
    let before = text.get(..at).unwrap_or_default();
    let run = before.iter().rev().take_while(|byte| **byte == b'\\').count();
    is_one && run % 2 == 0
}

/// What is left of a text that is read from left to right.
struct Cursor<'t>(&'t [u8]);

impl<'t> Cursor<'t> {
    fn eat(&mut self, literal: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(literal)?;
        Some(())
    }

    fn skip(&mut self, count: usize) -> Option<&'t [u8]> {
        let (skipped, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(skipped)
    }

    fn hex<const N: usize>(&mut self) -> Option<[u8; N]> {
        read_hex_bytes(self.skip(2 * N)?)
    }

    /// Up to and with the quote that ends a text without escapes.
    fn text(&mut self, max: usize) -> Option<&'t str> {
        let window = self.0.get(..max + 1).unwrap_or(self.0);
        let text = self.skip(memchr(b'"', window)?)?;
        self.eat(b"\"")?;
        if memchr(b'\\', text).is_some() {
            return None;
        }
        std::str::from_utf8(text).ok()
    }

    /// Up to and with the bracket that opens the transactions.
    fn header(&mut self) -> Option<SignedHeader> {
        self.eat(br#"{"previous":""#)?;
        let previous = BlockId::from_bytes(self.hex()?);
        self.eat(br#"","timestamp":""#)?;
        let timestamp = self.text(MAX_NAME)?.parse().ok()?;
        self.eat(br#","witness":""#)?;
        let witness = self.text(MAX_NAME)?.to_owned();
        self.eat(br#","transaction_merkle_root":""#)?;
        let transaction_merkle_root = MerkleRoot::from_bytes(self.hex()?);
        self.eat(br#"","extensions":"#)?;
        let extensions = self.extensions()?;
        self.eat(br#","witness_signature":""#)?;
        let witness_signature = RecoverableSignature::from_bytes(self.hex()?);
        self.eat(br#"","transactions":["#)?;
        let header =
            BlockHeader { previous, timestamp, witness, transaction_merkle_root, extensions };
        Some(SignedHeader { header, witness_signature })
    }

    fn extensions(&mut self) -> Option<Vec<HeaderExtension>> {
        if self.eat(b"[]").is_some() {
            return Some(Vec::new());
        }
        let window = self.0.get(..MAX_EXTENSIONS).unwrap_or(self.0);
        let end = memmem::find(window, br#"],"witness_signature":""#)?;
        let values: Vec<Value> = serde_json::from_slice(self.skip(end + 1)?).ok()?;
        Some(values.iter().map(HeaderExtension::from_json).collect())
    }
}
