//! Bodies of the fuzz targets: each takes any bytes and asserts what must hold of whatever is accepted.

use serde_json::Value;

use crate::{
    BlockAnswer, JsonForm, KeyPrefix, Operation, Pack, PrivateKey, PublicKey, RecoverRule,
    RecoverableSignature, ReportedBlock, SignedHeader, SignedTransaction, Transaction,
    check_strict_json, extract_blocks,
};

const PREFIX: &KeyPrefix = &KeyPrefix::STM;

/// Binary transactions: what is accepted packs to the same bytes and survives both JSON forms.
pub fn transaction_bytes(data: &[u8]) {
    for pack in [Pack::Hf26, Pack::Legacy] {
        if let Ok(transaction) = Transaction::from_bytes(data, pack) {
            assert_eq!(transaction.to_bytes(pack), data, "the bytes are not the same again");
            survives_json(&transaction);
            let _ = transaction.validate();
        }
        if let Ok(signed) = SignedTransaction::from_bytes(data, pack) {
            assert_eq!(signed.to_bytes(pack), data, "the bytes are not the same again");
            let json = signed.to_json(JsonForm::Legacy, PREFIX);
            assert_eq!(SignedTransaction::from_json(&json, PREFIX), Ok(signed), "of {json}");
        }
    }
}

/// JSON transactions: what is accepted survives both JSON forms and both packs.
pub fn transaction_json(data: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(data) else { return };
    let _ = Operation::from_json(&value, PREFIX);
    if let Ok(transaction) = Transaction::from_json(&value, PREFIX) {
        survives_json(&transaction);
        for pack in [Pack::Hf26, Pack::Legacy] {
            let bytes = transaction.to_bytes(pack);
            let read = Transaction::from_bytes(&bytes, pack);
            assert_eq!(read.as_ref(), Ok(&transaction), "of {bytes:?}");
        }
        let _ = transaction.validate();
    }
}

/// WIF texts: what is accepted prints as the same text.
pub fn wif(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(key) = text.parse::<PrivateKey>() {
        assert_eq!(key.to_wif().as_str(), text, "the text is not the same again");
    }
}

/// Texts of public keys: what is accepted prints as the same text and is a point or the null key.
pub fn public_key_text(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(key) = PublicKey::from_text(text, PREFIX) {
        assert_eq!(key.to_text(PREFIX), text, "the text is not the same again");
        assert_eq!(PublicKey::from_bytes(*key.as_bytes()), Ok(key), "the bytes are no key");
    }
}

/// Blocks as nodes send them: no junk operation fails a block, and headers survive their JSON.
pub fn block_json(data: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(data) else { return };
    for method in [BlockAnswer::Block, BlockAnswer::BlockRange, BlockAnswer::Condenser] {
        for block in extract_blocks(&value, method, "alive-test").unwrap_or_default() {
            assert_eq!(block.to_block().ops.len(), block.ops.len(), "an operation is lost");
        }
    }
    if let Ok(header) = SignedHeader::from_json(&value) {
        assert_eq!(SignedHeader::from_json(&header.to_json()), Ok(header), "of {value}");
    }
    if let Ok(block) = ReportedBlock::from_json(&value) {
        let _ = block.check_header();
        let _ = block.check_transactions(PREFIX);
    }
}

/// Texts that hived may carry: what is accepted is JSON for others, too.
pub fn strict_json(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if check_strict_json(text).is_ok() {
        let read = serde_json::from_str::<Value>(text);
        // Two things are left to readers: escaped surrogates without a partner and numbers beyond a double.
        let left = text.contains("\\u") || text.contains(['e', 'E']) || text.len() > 300;
        assert!(read.is_ok() || left, "accepted, but no reader takes {text:?}");
    }
}

/// Signatures: 32 bytes of digest, then the signature. Low s is canonical for hived, what hived takes recovers plainly.
pub fn signature(data: &[u8]) {
    let Some((digest, rest)) = data.split_first_chunk::<32>() else { return };
    let Some((bytes, _)) = rest.split_first_chunk::<65>() else { return };
    let signature = RecoverableSignature::from_bytes(*bytes);
    let rules = [RecoverRule::LowS, RecoverRule::Hived, RecoverRule::Plain];
    let [low, hived, plain] = rules.map(|rule| signature.recover(digest, rule).ok());
    assert!(low.is_none() || low == hived, "low s, but not canonical for hived");
    assert!(hived.is_none() || hived == plain, "taken by hived, but not plainly");
    assert_eq!(signature.to_string().parse(), Ok(signature), "the text is not the same again");
}

fn survives_json(transaction: &Transaction) {
    for form in [JsonForm::Hf26, JsonForm::Legacy] {
        let json = transaction.to_json(form, PREFIX);
        assert_eq!(Transaction::from_json(&json, PREFIX).as_ref(), Ok(transaction), "of {json}");
    }
}
