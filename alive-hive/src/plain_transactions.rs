//! Transactions of nothing but `custom_json`, as hived writes them: [`PlainTransactions`].
//!
//! A block full of operations of ours is read from left to right, without a general parser of JSON. Whatever is written in
//! another way (white space, another order of members, another kind of operation, an unusual escape) is not read here but
//! left to [`crate::block_text`]. What is read needs no trust: the reader packs the transactions as it goes, and whoever
//! uses them compares their Merkle root with that of the block's header.

use alive_core::{SignedOp, backend::RefusedOp};
use sha2::{Digest as _, Sha256};

use crate::{
    block_text::{pack_custom_json, signed_op},
    hex_text::read_hex_bytes,
    merkle::MerkleRoot,
    serialize::{Pack, Packer},
    signature::RecoverableSignature,
    time::TimePoint,
};

/// What the transactions of a block say.
#[derive(Debug)]
pub(crate) struct PlainTransactions {
    /// The operations under our id, each read or refused.
    pub(crate) ops: Vec<Result<SignedOp, RefusedOp>>,
    /// The hash over all transactions.
    pub(crate) root: MerkleRoot,
}

impl PlainTransactions {
    /// Reads what stands between the brackets of `"transactions":[..]`; `None` if any of it is not plain.
    pub(crate) fn read(text: &[u8], custom_json_id: &str) -> Option<Self> {
        let mut reader = Reader {
            rest: std::str::from_utf8(text).ok()?,
            custom_json_id,
            ops: Vec::new(),
            operations: Packer::new(Pack::Legacy),
            payload: String::new(),
            active: Vec::new(),
            posting: Vec::new(),
        };
        let (mut leaves, mut whole) = (Vec::new(), Packer::new(Pack::Legacy));
        loop {
            whole.bytes.clear();
            reader.transaction(&mut whole)?;
            leaves.push(Sha256::digest(&whole.bytes).into());
            if reader.rest.is_empty() {
                return Some(Self { ops: reader.ops, root: MerkleRoot::of(leaves) });
            }
            reader.eat(",")?;
        }
    }
}

/// What is left of the text, what was found in it, and room that is used again for each operation.
struct Reader<'t> {
    rest: &'t str,
    custom_json_id: &'t str,
    ops: Vec<Result<SignedOp, RefusedOp>>,
    /// The operations of one transaction, packed.
    operations: Packer,
    payload: String,
    active: Vec<&'t str>,
    posting: Vec<&'t str>,
}

impl<'t> Reader<'t> {
    /// Packs one transaction with its signatures. Source: `spec/hive.md`, section 4.1.
    fn transaction(&mut self, to: &mut Packer) -> Option<()> {
        self.eat(r#"{"ref_block_num":"#)?;
        to.raw(&u16::try_from(self.number()?).ok()?.to_le_bytes());
        self.eat(r#","ref_block_prefix":"#)?;
        to.raw(&self.number()?.to_le_bytes());
        self.eat(r#","expiration":""#)?;
        to.raw(&self.plain_text()?.parse::<TimePoint>().ok()?.as_unix_secs().to_le_bytes());
        self.eat(r#","operations":["#)?;
        self.operations.bytes.clear();
        let mut count = 1;
        self.operation()?;
        while self.eat(",").is_some() {
            self.operation()?;
            count += 1;
        }
        to.count(count);
        to.raw(&self.operations.bytes);
        self.eat(r#"],"extensions":[],"signatures":["#)?;
        to.count(0);
        self.signatures(to)
    }

    /// Up to and with the end of the transaction.
    fn signatures(&mut self, to: &mut Packer) -> Option<()> {
        const DIGITS: usize = 2 * RecoverableSignature::LEN;
        // The count, which takes one byte, is known in the end.
        let (at, mut count) = (to.bytes.len(), 0_u8);
        to.bytes.push(count);
        if self.eat("]}").is_none() {
            loop {
                self.eat("\"")?;
                let digits = self.take(DIGITS)?;
                to.raw(&read_hex_bytes::<{ RecoverableSignature::LEN }>(digits.as_bytes())?);
                count = count.checked_add(1).filter(|count| *count < 0x80)?;
                if self.eat("\"]}").is_some() {
                    break;
                }
                self.eat("\",")?;
            }
        }
        *to.bytes.get_mut(at)? = count;
        Some(())
    }

    /// Packs a `custom_json`, and reads it if it is ours.
    fn operation(&mut self) -> Option<()> {
        self.eat(r#"{"type":"custom_json_operation","value":{"required_auths":["#)?;
        let active = std::mem::take(&mut self.active);
        self.active = self.names(active)?;
        self.eat(r#","required_posting_auths":["#)?;
        let posting = std::mem::take(&mut self.posting);
        self.posting = self.names(posting)?;
        self.eat(r#","id":""#)?;
        let id = self.plain_text()?;
        self.eat(r#","json":""#)?;
        self.payload()?;
        self.eat("}}")?;
        let Self { operations, active, posting, payload, .. } = self;
        pack_custom_json(operations, active, posting, id, payload);
        if id == self.custom_json_id {
            self.ops.push(signed_op(Some(&self.posting), &self.payload));
        }
        Some(())
    }

    /// Up to and with the end of a list of names, in the room of an earlier one.
    fn names(&mut self, mut names: Vec<&'t str>) -> Option<Vec<&'t str>> {
        names.clear();
        while self.eat("]").is_none() {
            self.eat(if names.is_empty() { "\"" } else { ",\"" })?;
            names.push(self.plain_text()?);
        }
        Some(names)
    }

    fn eat(&mut self, literal: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(literal)?;
        Some(())
    }

    fn take(&mut self, len: usize) -> Option<&'t str> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    /// A whole number of 32 bits.
    fn number(&mut self) -> Option<u32> {
        let len = self.rest.bytes().position(|byte| !byte.is_ascii_digit())?;
        let digits = self.take(len)?;
        // JSON has no zeros in front.
        if len > 1 && digits.starts_with('0') { None } else { digits.parse().ok() }
    }

    /// Up to and with the quote that ends a text without escapes.
    fn plain_text(&mut self) -> Option<&'t str> {
        let len = self.rest.bytes().position(is_special)?;
        let text = self.take(len)?;
        self.eat("\"")?;
        Some(text)
    }

    /// Up to and with the quote that ends the payload, whose escapes are resolved.
    fn payload(&mut self) -> Option<()> {
        self.payload.clear();
        let bytes = self.rest.as_bytes();
        // What is taken over next, and from where on special bytes are looked for.
        let (mut from, mut search) = (0, 0);
        loop {
            let at = search + bytes.get(search..)?.iter().position(|byte| is_special(*byte))?;
            self.payload.push_str(self.rest.get(from..at)?);
            match bytes.get(at)? {
                b'"' => {
                    self.rest = self.rest.get(at + 1..)?;
                    return Some(());
                }
                b'\\' => search = at + 2,
                _ => return None,
            }
            let stands_for = match bytes.get(at + 1)? {
                // It stands for itself, and goes with what follows it.
                b'"' | b'\\' | b'/' => {
                    from = at + 1;
                    continue;
                }
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                b'n' => '\n',
                b'r' => '\r',
                b't' => '\t',
                _ => return None,
            };
            self.payload.push(stands_for);
            from = search;
        }
    }
}

/// Whether a byte does not stand for itself in a text of JSON.
fn is_special(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | 0..=0x1f)
}

#[cfg(test)]
mod tests {
    use alive_core::OpError;
    use proptest::{collection::vec, prelude::*, sample::select};
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;
    use crate::{KeyPrefix, SignedTransaction};

    const PAYLOAD: &str = r#"{"op":1,"link":"s"}"#;

    /// An operation in hived's order of members; `serde_json` escapes as hived does, but for control characters.
    fn operation(active: &[&str], posting: &[&str], id: &str, payload: &str) -> String {
        format!(
            r#"{{"type":"custom_json_operation","value":{{"required_auths":{},"required_posting_auths":{},"id":{},"json":{}}}}}"#,
            json!(active),
            json!(posting),
            json!(id),
            json!(payload),
        )
    }

    fn transaction(operations: &[String], signatures: usize) -> String {
        format!(
            r#"{{"ref_block_num":65535,"ref_block_prefix":4294967295,"expiration":"2026-11-21T00:01:00","operations":[{}],"extensions":[],"signatures":{}}}"#,
            operations.join(","),
            json!(vec!["1f".repeat(65); signatures]),
        )
    }

    fn ours() -> String {
        transaction(&[operation(&[], &["alice"], "alive-test", PAYLOAD)], 1)
    }

    fn read(text: &str) -> Option<PlainTransactions> {
        PlainTransactions::read(text.as_bytes(), "alive-test")
    }

    /// The root as the types of transactions give it.
    fn root(transactions: &[String]) -> MerkleRoot {
        MerkleRoot::of(transactions.iter().map(|text| {
            let value: Value = serde_json::from_str(text).unwrap();
            let signed = SignedTransaction::from_json(&value, &KeyPrefix::STM).unwrap();
            signed.merkle_leaf(Pack::Legacy)
        }))
    }

    #[test]
    fn operations_of_ours_are_read_and_others_only_packed() {
        let other = operation(&["carol"], &[], "alive-test2", "[]");
        let mine = operation(&[], &["alice"], "alive-test", PAYLOAD);
        let two = operation(&["dave"], &["bob", "alice"], "alive-test", PAYLOAD);
        let refused = operation(&[], &["bob"], "alive-test", "é\"\\/\u{8}\u{c}\n\r\t");
        let all =
            [transaction(&[other, mine], 0), transaction(&[two], 2), transaction(&[refused], 1)];
        let plain = read(&all.join(",")).unwrap();
        assert_eq!(plain.root, root(&all));
        let [Ok(signed), Err(two), Err(refused)] = &plain.ops[..] else { panic!("{plain:?}") };
        assert_eq!((signed.account.as_str(), signed.op.to_json().as_str()), ("alice", PAYLOAD));
        assert_eq!(two.reason, OpError::Authorities(2));
        assert_eq!(refused.account.as_ref().unwrap().as_str(), "bob");
    }

    #[rstest]
    #[case("\"ref_block_num\":65535", "\"ref_block_num\":65536")]
    #[case("\"ref_block_num\":65535", "\"ref_block_num\":065535")]
    #[case("\"ref_block_num\":65535", "\"ref_block_num\":-1")]
    #[case("\"ref_block_num\":65535", "\"ref_block_num\":")]
    #[case("\"ref_block_num\":65535", "\"ref_block_num\":1.0")]
    #[case("\"ref_block_prefix\":4294967295", "\"ref_block_prefix\":4294967296")]
    #[case("2026-11-21T00:01:00", "2026-11-21T00:61:00")]
    #[case("\"operations\":[", "\"operations\": [")]
    #[case("\"extensions\":[]", "\"extensions\":[0]")]
    #[case("custom_json_operation", "vote_operation")]
    #[case("\"type\"", "\"tipe\"")]
    #[case("[\"alice\"]", "[,\"alice\"]")]
    #[case("[\"alice\"]", "[\"alice\",]")]
    #[case("[\"alice\"]", "[\"alice\"\"bob\"]")]
    #[case("[\"alice\"]", "[\"al\\u0069ce\"]")]
    #[case("[\"alice\"]", "[\"al\\\"ice\"]")]
    #[case("[\"alice\"]", "[\"al\nice\"]")]
    #[case("[\"alice\"]", "[5]")]
    #[case("[\"alice\"]", "null")]
    #[case("{\\\"op", "{\\u0022op")]
    #[case("{\\\"op", "{\\xop")]
    #[case("{\\\"op", "{\top")]
    #[case("1f\"]}", "1g\"]}")]
    #[case("1f\"]}", "1f1f\"]}")]
    #[case("1f\"]}", "1\"]}")]
    #[case("1f\"]}", "1f\",]}")]
    #[case("1f\"]}", "1f\"],\"transaction_id\":\"\"}")]
    #[case("1f\"]}", "1f\"]},")]
    #[case("1f\"]}", "1f\"]} ")]
    #[case("1f\"]}", "1f\"]")]
    fn what_hived_would_not_write_is_left_to_the_parser(#[case] from: &str, #[case] to: &str) {
        assert!(read(&ours()).is_some());
        let other = ours().replacen(from, to, 1);
        assert_ne!(other, ours());
        assert!(read(&other).is_none(), "{other}");
    }

    #[test]
    fn a_text_that_ends_anywhere_is_not_plain() {
        let text = ours();
        for end in 0..text.len() {
            assert!(read(&text[..end]).is_none(), "{end}");
        }
        let mut bytes = text.into_bytes();
        bytes[120] = 0xff;
        assert!(PlainTransactions::read(&bytes, "alive-test").is_none());
    }

    #[test]
    fn as_many_signatures_as_one_byte_counts_are_read() {
        let mine = [operation(&[], &["alice"], "alive-test", PAYLOAD)];
        let text = transaction(&mine, 127);
        assert_eq!(read(&text).unwrap().root, root(&[text]));
        assert!(read(&transaction(&mine, 128)).is_none());
    }

    fn any_operation() -> impl Strategy<Value = String> {
        let names = || vec(select(vec!["alice", "bob", "é", "", "a-name.of-16-ch"]), 0..4);
        let id = select(vec!["alive-test", "alive-test", "alive-tes", "ä", ""]);
        // Control characters without an escape of their own are escaped in a way that is not plain.
        let payload = prop_oneof![
            2 => Just(PAYLOAD.to_owned()),
            1 => "[ -~éÿ中\u{1f600}\u{7f}\n\r\t\u{8}\u{c}\"\\\\]{0,300}",
        ];
        (names(), names(), id, payload)
            .prop_map(|(active, posting, id, payload)| operation(&active, &posting, id, &payload))
    }

    proptest! {
        #[test]
        fn all_that_hived_writes_is_read_as_the_types_read_it(
            all in vec((vec(any_operation(), 1..4), 0..3_usize), 1..9),
        ) {
            let all: Vec<String> =
                all.iter().map(|(operations, signatures)| transaction(operations, *signatures)).collect();
            let plain = read(&all.join(",")).unwrap();
            prop_assert_eq!(plain.root, root(&all));
            crate::fuzzing::plain_transactions(all.join(",").as_bytes());
        }
    }
}
