//! Passes over blocks that cannot hold an operation of ours before any of their JSON is parsed: [`Scanner`].
//!
//! # Why nothing is missed
//! A text of JSON that reads as our id either stands there byte for byte between its quotes, or has an escape of a
//! character that needs none: `\u00` and a digit from 2 to 7. One pass over the transactions of a block looks for both and
//! for the end of the transactions. The end, `],"block_id":"`, cannot be inside a text, where its quotes would have
//! backslashes. It could stand deeper inside the transactions, but then header and id around it do not fit: every block
//! that is passed over has the id that its header hashes to and names the one before it. A node that makes them fit on
//! purpose gains nothing: it could as well have left out what is passed over then. What has another form than
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
    rare: Rare,
    end: Finder<'static>,
    /// The vectors that this processor has.
    level: Level,
}

/// Two bytes of a needle that are rare in blocks.
#[derive(Clone, Copy, Debug)]
struct Rare {
    /// Place of the first one.
    at: usize,
    /// How far behind it the other one stands.
    apart: usize,
    bytes: [u8; 2],
}

/// A block of an answer.
#[derive(Clone, Debug)]
pub(crate) struct Span<'t> {
    /// Header and signature, which hash to `block_id`.
    pub(crate) header: SignedHeader,
    pub(crate) block_id: BlockId,
    /// Whether it may hold an operation of ours and must be parsed.
    pub(crate) is_ours: bool,
    /// What stands between the brackets of its transactions.
    pub(crate) transactions: &'t [u8],
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
        let rare = Rare::of(&needle)?;
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
        let transactions = cursor.skip(end)?;
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
        is_right.then_some((Span { header, block_id, is_ours, transactions, text }, cursor.0))
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
        let Rare { apart, bytes: [one, two], .. } = self.rare;
        let windows = from(0).zip(from(1)).zip(from(3)).zip(from(apart));
        let mut done = 0;
        for (((at, next), third), other) in windows {
            let is = |bytes: &[u8], byte: u8| S::u8s::from_slice(simd, bytes).simd_eq(byte);
            // Two bytes of each of the three at once.
            let escape = is(at, b'\\') & is(next, b'u');
            let end = is(at, b']') & is(third, b'b');
            let id = is(at, one) & is(other, two);
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

    /// What begins here, or has the first of its rare bytes here.
    fn look(&self, text: &[u8], at: usize) -> Option<Found> {
        let here = text.get(at..)?;
        if here.starts_with(END) {
            return Some(Found::End);
        }
        let is_escape = here.starts_with(ESCAPE) && is_needless_escape(text, at);
        let from = at.checked_sub(self.rare.at).and_then(|from| text.get(from..));
        let is_id = from.is_some_and(|from| from.starts_with(&self.needle));
        (is_escape || is_id).then_some(Found::Ours)
    }
}

impl Rare {
    /// `None` for a needle without two bytes.
    fn of(needle: &[u8]) -> Option<Self> {
        let pair = Pair::with_ranker(needle, RareInBlocks)?;
        let (one, two) = (pair.index1().min(pair.index2()), pair.index1().max(pair.index2()));
        let byte = |index: u8| needle.get(usize::from(index)).copied();
        let bytes = [byte(one)?, byte(two)?];
        Some(Self { at: one.into(), apart: usize::from(two - one), bytes })
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

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    /// Every kind of vectors that this processor has.
    fn levels() -> Vec<Level> {
        let best = Level::new();
        #[cfg(target_arch = "x86_64")]
        let others = [
            best.as_avx2().map(Level::Avx2),
            best.as_sse4_2().map(Level::Sse4_2),
            best.as_sse2().map(Level::Sse2),
        ];
        #[cfg(not(target_arch = "x86_64"))]
        let others: [Option<Level>; 0] = [];
        std::iter::once(best).chain(others.into_iter().flatten()).collect()
    }

    /// What [`Scanner::end`] must say, told place by place.
    fn slow_end(id: &str, text: &[u8]) -> Option<(usize, bool)> {
        let needle = format!("\"{id}\"");
        let end = (0..text.len()).find(|&at| text[at..].starts_with(END))?;
        let is_ours = (0..end).any(|at| {
            let escape = text[at..].starts_with(ESCAPE) && is_needless_escape(text, at);
            escape || text[at..].starts_with(needle.as_bytes())
        });
        Some((end, is_ours))
    }

    fn any_text() -> impl Strategy<Value = Vec<u8>> {
        let parts = vec![
            "\"alive-test\"",
            "\"alive-tesT\"",
            "alive-test",
            "\"a\"",
            r"\u0061",
            r"\\u0061",
            r"\u00e9",
            r"\u0",
            "\\",
            r#"],"block_id":""#,
            r#"],"block_id":"#,
            "]..b",
            "v",
            "-",
        ];
        let part = prop_oneof![
            2 => select(parts).prop_map(|part| part.as_bytes().to_vec()),
            1 => (0..150_usize).prop_map(|len| vec![b'x'; len]),
            1 => vec(any::<u8>(), 0..9),
        ];
        vec(part, 0..12).prop_map(|parts| parts.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn all_vectors_find_what_a_slow_search_finds(text in any_text()) {
            for id in ["alive-test", "a", "v-", "x]"] {
                let want = slow_end(id, &text);
                for level in levels() {
                    let scanner = Scanner { level, ..Scanner::new(id).unwrap() };
                    prop_assert_eq!(scanner.end(&text), want, "{} by {:?}", id, level);
                }
            }
        }
    }

    #[test]
    fn what_begins_at_any_place_of_a_vector_is_found() {
        for at in 0..300 {
            for (part, is_ours) in [("", false), ("\"alive-test\"", true), (r"\u0061", true)] {
                let text = [&b"y".repeat(at), part.as_bytes(), END, &b"z".repeat(at % 70)].concat();
                for level in levels() {
                    let scanner = Scanner { level, ..Scanner::new("alive-test").unwrap() };
                    let want = Some((at + part.len(), is_ours));
                    assert_eq!(scanner.end(&text), want, "{at} {part} by {level:?}");
                    assert_eq!(scanner.end(&text[..at + part.len() + END.len() - 1]), None);
                }
            }
        }
    }
}
