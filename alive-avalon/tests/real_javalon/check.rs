//! What we write and sign is what javalon would have: random texts and transactions, both ways.

use std::{
    env,
    hash::{BuildHasher as _, Hasher as _, RandomState},
};

use alive_avalon::{JsonText, PrivateKey, SignedTransaction, Transaction};
use serde_json::{Value, json};

use crate::javalon::run;

/// The seed of a run that failed, to run it again.
const SEED: &str = "ALIVE_TEST_SEED";

/// A generator of numbers; another sample every time, unless the seed is given.
struct Dice(u64);

impl Dice {
    #[expect(
        clippy::print_stdout,
        reason = "a test that fails shows it, so that it can be run again"
    )]
    fn new() -> Self {
        let given = env::var(SEED).ok().map(|seed| seed.parse().unwrap());
        let seed = given.unwrap_or_else(|| RandomState::new().build_hasher().finish());
        println!("{SEED}={seed}");
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.0;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }

    fn number(&mut self) -> String {
        match self.below(6) {
            0 => (self.next().cast_signed() >> self.below(64)).to_string(),
            1 => format!("{}.{}", self.below(1000), self.next()),
            2 => format!(
                "{:e}",
                f64::from_bits(self.next() & !(0x7ff << 52) | (self.below(0x7ff) << 52))
            ),
            3 => format!("-{}E{}{}", self.below(100), self.of(&["+", "-", ""]), self.below(400)),
            4 => {
                format!("0.{}{}", "0".repeat(self.below(12).try_into().unwrap()), self.below(9999))
            }
            _ => self
                .of(&["0", "-0", "1e21", "1e-7", "999999999999999934464", "4.9e-324", "1e309"])
                .into(),
        }
    }

    fn string(&mut self) -> String {
        let pieces = [
            "a",
            "b",
            "0",
            "12",
            "é",
            "漢",
            "😀",
            "\u{2028}",
            "\u{7f}",
            "\u{feff}",
            "/",
            "\\/",
            "\\\"",
            "\\\\",
            "\\n",
            "\\b",
            "\\u0000",
            "\\u001F",
            "\\u007f",
            "\\ud83d",
            "\\uDE00",
            "\\uD83D\\uDE00",
            "\\u00e9",
            "__proto__",
            " ",
        ];
        let count = self.below(7);
        (0..count).map(|_| self.of(&pieces)).collect()
    }

    /// Any JSON text but one with a key `__proto__` of its own meaning to parsers: `JSON.parse` keeps it, too.
    fn json(&mut self, depth: u64) -> String {
        let kinds = if depth == 0 { 4 } else { 6 };
        let blank = self.of(&["", "", " ", "\n\t"]);
        let text = match self.below(kinds) {
            0 | 1 => self.number(),
            2 => format!("\"{}\"", self.string()),
            3 => self.of(&["null", "true", "false", "[]", "{}"]).into(),
            4 => {
                let count = self.below(6);
                let items: Vec<_> = (0..count).map(|_| self.json(depth - 1)).collect();
                format!("[{}]", items.join(","))
            }
            _ => {
                let count = self.below(8);
                let member = |dice: &mut Self| {
                    let key = match dice.below(3) {
                        0 => dice.of(&["4294967294", "4294967295", "007", "-1"]).to_owned(),
                        1 => dice.below(30).to_string(),
                        _ => dice.string(),
                    };
                    format!("\"{key}\" :{}", dice.json(depth - 1))
                };
                let members: Vec<_> = (0..count).map(|_| member(self)).collect();
                format!("{{{}}}", members.join(","))
            }
        };
        format!("{blank}{text}{blank}")
    }

    /// A text that is almost JSON.
    fn nearly_json(&mut self) -> String {
        let mut text = self.json(3);
        let at = usize::try_from(self.below(text.len() as u64 + 1)).unwrap();
        if text.is_char_boundary(at) {
            text.insert_str(
                at,
                self.of(&[",", "\"", "0", "]", "}", "\\", "\u{b}", ".", "-", "e", "x", "\u{a0}"]),
            );
        }
        text
    }
}

#[test]
#[ignore = "needs node.js, npm and packages"]
fn the_text_of_any_json_is_the_engines() {
    let mut dice = Dice::new();
    let mut texts: Vec<String> = (0..20_000).map(|_| dice.json(4)).collect();
    texts.extend((0..10_000).map(|_| dice.nearly_json()));
    let theirs = run("stringify", &json!({ "texts": texts }));
    let theirs = theirs.as_array().unwrap();
    assert_eq!(theirs.len(), texts.len());
    let mut refused = 0;
    for (text, theirs) in texts.iter().zip(theirs) {
        let ours = JsonText::of(text).ok();
        assert_eq!(ours.as_ref().map(JsonText::as_str), theirs.as_str(), "of {text:?}");
        refused += usize::from(ours.is_none());
    }
    assert!((1000..15_000).contains(&refused), "{refused} were no JSON");
}

#[test]
#[ignore = "needs node.js, npm and packages"]
fn hashes_and_signatures_are_alike_both_ways() {
    let mut dice = Dice::new();
    let mut cases = Vec::new();
    while cases.len() < 300 {
        let (link, json) = (dice.string(), dice.json(3));
        let kind = dice.below(40);
        let ts = 1_700_000_000_000 + dice.below(1_000_000_000);
        let text = match dice.below(2) {
            0 => format!(
                r#"{{"type":{kind},"data":{{"link":"{link}","json":{json}}},"sender":"alice","ts":{ts}}}"#
            ),
            _ => format!(
                r#"{{"ts":{ts},"10":{json},"sender":"alice","data":{{"seq":[[{kind},"{link}"]]}},"type":26}}"#
            ),
        };
        // crypto-js cannot hash half a character, and the node loses keys named __proto__.
        if JsonText::of(&text).unwrap().as_str().contains("\\ud") || text.contains("__proto__") {
            continue;
        }
        let scalar: Vec<u8> = (0..4).flat_map(|_| dice.next().to_le_bytes()).collect();
        let key = PrivateKey::from_bytes(&scalar.try_into().unwrap()).unwrap();
        cases.push((Transaction::from_json(&text).unwrap(), text, key));
    }
    let jobs: Vec<Value> = cases
        .iter()
        .map(|(ours, text, key)| {
            json!({ "transaction": text, "ours": ours.sign(&[key]).to_string(), "key": key.to_base58().as_str() })
        })
        .collect();
    let answers = run("check", &json!({ "cases": jobs }));
    for ((ours, text, key), theirs) in cases.iter().zip(answers.as_array().unwrap()) {
        let public = key.public_key();
        assert_eq!(theirs["signed"], ours.sign(&[key]).to_string(), "of {text}");
        assert_eq!(theirs["hashFits"], true, "of {text}");
        assert_eq!(theirs["public"], public.to_string());
        assert_eq!(theirs["signer"], public.to_string());
        // javalon takes its own clock for the form of one key.
        let single = theirs["single"].as_str().unwrap();
        let again = Transaction::from_json(single).unwrap().sign_single(key);
        let received = SignedTransaction::from_json(single).unwrap();
        assert_eq!(again, received, "of {text}");
    }
}
