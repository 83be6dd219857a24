//! Bodies of the fuzz targets: each takes any bytes and asserts what must hold of whatever is accepted.

use std::collections::{HashMap, HashSet};

use alive_core::Op;

use crate::{
    Account, Block, BlockHashing, Design2021, Growth, JsonText, Playlist, PlaylistTx,
    SignedTransaction, Transaction, chat_archives, stream_ops, stream_ops_of,
};

/// JSON texts: what is written reads back the same, and serde takes it, too.
pub fn json_text(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(written) = JsonText::of(text) else {
        // serde refuses lone surrogates, deep nesting and great numbers besides; never the other way round.
        assert!(serde_json::from_str::<serde_json::Value>(text).is_err(), "refused: {text:?}");
        return;
    };
    assert_eq!(JsonText::of(written.as_str()).as_ref(), Ok(&written), "of {text:?}");
    assert_eq!(written.utf16_len(), written.as_str().encode_utf16().count());
    let root = written.root();
    let keys = root.members().count();
    let unique: HashSet<_> = root.members().map(|(key, _)| key.as_str()).collect();
    assert_eq!(unique.len(), keys, "a key stands there twice in {written}");
    if let (Some(len), Some(text)) = (root.string_utf16_len(), root.to_text()) {
        assert_eq!(len, text.encode_utf16().count());
    }
}

/// Transactions: reading any never panics, a hash does not depend on spelling, and what is a playlist transaction can be
/// applied or is refused without change.
pub fn transaction_json(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(transaction) = SignedTransaction::from_json(text) else { return };
    let parts = transaction.parts();
    let again = SignedTransaction::from_json(transaction.as_text().as_str());
    assert_eq!(again.map(|again| again.hash()), Ok(transaction.hash()));
    let hash = parts.computed_hash();
    if !transaction.as_text().as_str().contains("__proto__") {
        // Made of other pieces.
        assert_eq!(Transaction::from_json(text).map(|body| body.hash()), Ok(hash), "of {text:?}");
    }
    assert_eq!(stream_ops_of(&parts, &hash), stream_ops(&parts));
    let _ = parts.signatures();
    let (Some(kind), Some(data)) = (parts.kind, parts.data) else { return };
    if let Some(Ok(tx)) = PlaylistTx::read(kind, data) {
        for start in [None, Playlist::read(data)] {
            let mut playlist = start.clone();
            if tx.apply(&mut playlist, 1).is_err() {
                assert_eq!(playlist, start, "refused, but changed");
            }
        }
    }
    if let Some(playlist) = Playlist::read(data) {
        let written = playlist.to_json("a/b");
        assert_eq!(Playlist::read(written.root()), Some(playlist));
        let _ = chat_archives(written.root());
    }
    if let Ok(account) = Account::read(data) {
        let _ = account.bandwidth_at(1_700_000_000_000);
        let votes = account.votes.and_then(|votes| votes.at(1, Growth::of_votes(1.0, None)));
        assert!(votes.is_none() || account.votes.is_some());
    }
}

/// Blocks: both hashes can be made of whatever is one.
pub fn block_json(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(block) = Block::from_json(text) else { return };
    assert_eq!(Block::from_json(block.as_text().as_str()).as_ref(), Ok(&block));
    assert_eq!(Block::from_text(block.as_text().clone()).as_ref(), Ok(&block));
    let root = block.as_text().root();
    let listed = root.member("txs").into_iter().flat_map(crate::JsonRef::items);
    assert!(listed.eq(block.transactions().map(|parts| parts.whole)), "in {text:?}");
    for hashing in [BlockHashing::V1, BlockHashing::V2] {
        let hash = block.computed_hash(hashing);
        assert_eq!(block.check_hash(hashing).is_ok(), block.hash() == hash.to_string());
    }
    for parts in block.transactions() {
        let _ = stream_ops(&parts);
    }
}

/// Transactions of the design of 2021, one a line: what is refused changes nothing, pushes of a stream are numbered without
/// a gap behind its configure, nothing follows its end, and none of them is a stream on the public chain.
pub fn design_2021(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut streams = Design2021::default();
    // How many pushes each stream has; `None` once it has ended.
    let mut known: HashMap<(String, String), Option<u16>> = HashMap::new();
    for line in text.lines() {
        let Ok(transaction) = SignedTransaction::from_json(line) else { continue };
        let parts = transaction.parts();
        let before = streams.clone();
        let Ok(ops) = streams.apply(&parts) else {
            assert_eq!(streams, before, "refused, but changed: {line}");
            continue;
        };
        if ops.is_empty() {
            assert_eq!(streams, before, "nothing done, but changed: {line}");
            continue;
        }
        assert!(stream_ops(&parts).is_empty(), "a stream on the public chain, too: {line}");
        let sender = parts.sender.and_then(crate::JsonRef::to_text).unwrap_or_default();
        for op in &ops {
            assert_eq!(Op::from_json(&op.to_json()).as_ref(), Ok(op));
            let id = (sender.to_string(), op.link().to_string());
            let pushes = known.get(&id).copied();
            let pushes = match (op, pushes) {
                (Op::Configure(_), None) => Some(0),
                (Op::Configure(_), Some(Some(pushes))) => Some(pushes),
                (Op::Push(push), Some(Some(pushes))) => {
                    assert_eq!(push.seq.as_u16(), pushes, "a gap: {line}");
                    Some(pushes + 1)
                }
                (Op::End(_), Some(Some(_))) => None,
                (op, pushes) => unreachable!("{op:?} of a stream with {pushes:?}: {line}"),
            };
            known.insert(id, pushes);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    /// Any bytes, and texts near to what is read.
    fn inputs() -> impl Strategy<Value = Vec<u8>> {
        let token = prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ":",
            ",",
            "\"",
            "\\",
            "\\u",
            "d800",
            "dc00",
            "0",
            "-",
            "1e",
            ".5",
            "25",
            "26",
            "27",
            "\"_id\"",
            "\"type\"",
            "\"data\"",
            "\"sender\"",
            "\"ts\"",
            "\"hash\"",
            "\"signature\"",
            "\"link\"",
            "\"seq\"",
            "\"json\"",
            "\"txs\":[",
            "\"phash\":\"\"",
            "\"timestamp\":1",
            "\"miner\":\"a\"",
            "\"abc\"",
            "\"playlist\":{",
            "\"__proto__\"",
            "\"$ref\"",
            "null",
            "true",
            " ",
            "/transact\n",
            "/block/1",
            "\n",
            "é",
        ]);
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..64),
            prop::collection::vec(token, 0..40).prop_map(|tokens| tokens.concat().into_bytes()),
        ]
    }

    /// A transaction of 2021, or one that is nearly so.
    fn transaction_2021() -> impl Strategy<Value = String> {
        const CID: &str = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH";
        let id = prop_oneof![9 => Just(CID), 1 => Just("short")];
        let quality = prop::sample::select(vec!["src", "src", "src", "240", "480", "144"]);
        let chunks = prop::collection::vec((quality.clone(), id), 0..4).prop_map(|ids| {
            let ids: Vec<_> = ids.iter().map(|(name, id)| format!(r#""{name}":"{id}""#)).collect();
            format!(r#","hash":{{{}}}"#, ids.join(","))
        });
        let counts = prop_oneof![1..4_usize, 59..62_usize];
        let segments = (counts.clone(), quality, prop_oneof![Just(None), counts.prop_map(Some)])
            .prop_map(|(count, quality, other)| {
                let list = |count, text: &str| vec![text; count].join(",");
                let (lens, ids) = (list(count, "10"), list(count, &format!("\"{CID}\"")));
                let other = list(other.unwrap_or(count), &format!("\"{CID}\""));
                format!(r#","len":[{lens}],"src":[{ids}],"{quality}":[{other}]"#)
            });
        let key = prop_oneof![Just(87_usize), Just(86)]
            .prop_map(|len| format!(r#","pub":"{}""#, "k".repeat(len)));
        let data = prop_oneof![4 => chunks, 3 => segments, 2 => key, 1 => Just(String::new())];
        let link = prop::sample::select(vec!["a", "b", "b c"]);
        let sender = prop::sample::select(vec!["alice", "bob", "B"]);
        (18..24_i64, link, data, sender).prop_map(|(kind, link, data, sender)| {
            format!(r#"{{"type":{kind},"data":{{"link":"{link}"{data}}},"sender":"{sender}"}}"#)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn any_design_2021_holds(
            lines in prop::collection::vec(transaction_2021(), 0..24),
            odd in inputs(),
        ) {
            super::design_2021(lines.join("\n").as_bytes());
            super::design_2021(&odd);
        }

        #[test]
        fn any_json_text_holds(data in inputs()) {
            super::json_text(&data);
        }

        #[test]
        fn any_transaction_holds(data in inputs()) {
            super::transaction_json(&data);
        }

        #[test]
        fn any_block_holds(data in inputs()) {
            super::block_json(&data);
        }
    }

    #[cfg(feature = "devnet")]
    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn any_request_is_answered(data in inputs()) {
            crate::devnet::fuzzing::request(&data);
        }
    }
}
