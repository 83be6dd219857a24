//! Bodies of the fuzz targets: each takes any bytes and asserts what must hold of whatever is accepted.

use crate::{
    Account, Block, BlockHashing, Growth, JsonText, Playlist, PlaylistTx, SignedTransaction,
    chat_archives, stream_ops,
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
    let unique: std::collections::HashSet<_> =
        root.members().map(|(key, _)| key.as_str()).collect();
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
    let _ = (parts.signatures(), stream_ops(&parts));
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
    for hashing in [BlockHashing::V1, BlockHashing::V2] {
        let hash = block.computed_hash(hashing);
        assert_eq!(block.check_hash(hashing).is_ok(), block.hash() == hash.to_string());
    }
    for parts in block.transactions() {
        let _ = stream_ops(&parts);
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

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

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
