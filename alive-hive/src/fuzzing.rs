//! Bodies of the fuzz targets: each takes any bytes and asserts what must hold of whatever is accepted.

use serde::de::IgnoredAny;
use serde_json::Value;

use crate::{
    BlockAnswer, BlockHeader, BlockId, BlockReader, JsonForm, KeyPrefix, Operation, Pack,
    PrivateKey, PublicKey, RecoverRule, RecoverableSignature, ReportedBlock, SignedHeader,
    SignedTransaction, TimePoint, Transaction, block_text::BlockText, check_strict_json,
    extract_blocks, plain_transactions::PlainTransactions, post::PostMetadata, scan::Scanner,
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

/// Metadata of posts: what is accepted prints to the same members, and an edit changes nothing but what it names.
pub fn post_metadata(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(metadata) = text.parse::<PostMetadata>() else { return };
    let again: Result<PostMetadata, _> = metadata.to_string().parse();
    assert_eq!(again.as_ref(), Ok(&metadata), "of {text:?}");
    let mut edited = metadata.clone();
    edited.set_ended();
    assert!(edited.is_ended(), "of {text:?}");
    assert_eq!(edited.stream(), metadata.stream(), "of {text:?}");
    assert_eq!(edited.chat_archives(), metadata.chat_archives(), "of {text:?}");
    for (name, value) in metadata.members().filter(|(name, _)| *name != "alive") {
        assert!(edited.members().any(|member| member == (name, value)), "{name} of {text:?}");
    }
    let once = edited.to_string();
    edited.set_ended();
    assert_eq!(edited.to_string(), once, "the same edit again changes something");
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

/// Answers with blocks: the byte scan finds what the parser finds, in the bytes as they are and in the same bytes as the
/// transactions of two blocks whose headers are right.
pub fn scanned_blocks(data: &[u8]) {
    let reader = BlockReader::new("alive-test", KeyPrefix::STM);
    for method in [BlockAnswer::Block, BlockAnswer::BlockRange, BlockAnswer::Condenser] {
        same_by_scan(&reader, data, method);
    }
    let (one, two) = data.split_at(data.len() / 2);
    let blocks = framed_blocks(&[data, one, two]);
    same_by_scan(&reader, &blocks, BlockAnswer::BlockRange);
}

/// Transactions as hived writes them: what is read without a parser is JSON, the parser reads the same operations and the
/// same root out of it, and the reader of blocks takes both ways to the same block.
pub fn plain_transactions(data: &[u8]) {
    let Some(plain) = PlainTransactions::read(data, "alive-test") else { return };
    let text = || String::from_utf8_lossy(data);
    let header = BlockHeader {
        previous: BlockId::ZERO,
        timestamp: TimePoint::from_unix_secs(1_800_000_000),
        witness: "alive.wit".into(),
        transaction_merkle_root: plain.root,
        extensions: Vec::new(),
    };
    let witness_signature = RecoverableSignature::from_bytes([1; 65]);
    let mut block = Vec::new();
    push_block(&mut block, &SignedHeader { header, witness_signature }, data, b"");
    let root = BlockText::parse(&block, "alive-test").ok().and_then(|block| block.merkle_root());
    assert_eq!(root, Some(plain.root), "of {}", text());
    let answer = [br#"{"block":"#, &block[..], b"}"].concat();
    let reader = BlockReader::new("alive-test", KeyPrefix::STM);
    let parsed = reader.parse(&answer, BlockAnswer::Block).ok();
    assert_eq!(reader.read(&answer, BlockAnswer::Block).ok(), parsed, "of {}", text());
    let ops = parsed.map(|blocks| blocks.into_iter().flat_map(|block| block.ops).collect());
    assert_eq!(Some(plain.ops), ops, "of {}", text());
}

/// Whatever is JSON must be read alike.
fn same_by_scan(reader: &BlockReader, result: &[u8], method: BlockAnswer) {
    if serde_json::from_slice::<Value>(result).is_err() {
        let _ = reader.read(result, method);
        return;
    }
    let text = || String::from_utf8_lossy(result);
    match (reader.read(result, method), reader.parse(result, method)) {
        (Ok(scanned), Ok(parsed)) => assert_eq!(scanned, parsed, "of {}", text()),
        (Ok(scanned), Err(error)) => {
            // Only a node that cuts its blocks askew gets that far, and then only to be passed over.
            assert!(is_cut_askew(result, method), "{scanned:?}, {error} of {}", text());
            assert!(scanned.iter().any(|block| block.ops.is_empty()), "of {}", text());
        }
        (Err(error), parsed) => assert!(parsed.is_err(), "{error}, {parsed:?} of {}", text()),
    }
}

/// Whether one of the blocks that the scan finds is no JSON by itself.
fn is_cut_askew(result: &[u8], method: BlockAnswer) -> bool {
    let scanner = Scanner::new("alive-test");
    let spans = scanner.and_then(|scanner| match method {
        BlockAnswer::Block => scanner.single(result),
        BlockAnswer::BlockRange => scanner.range(result),
        BlockAnswer::Condenser => None,
    });
    let is_json = |text| serde_json::from_slice::<IgnoredAny>(text).is_ok();
    spans.is_some_and(|spans| spans.iter().any(|span| !is_json(span.text)))
}

/// An answer of `block_api.get_block_range` as hived writes it, of blocks with these texts as their transactions. Ids and
/// links are right; signatures are none.
pub fn framed_blocks(transactions: &[&[u8]]) -> Vec<u8> {
    let mut answer = br#"{"blocks":["#.to_vec();
    let mut previous = BlockId::ZERO;
    for (at, transactions) in transactions.iter().enumerate() {
        let root = if transactions.is_empty() { [0; 20] } else { [9; 20] };
        let header = BlockHeader {
            previous,
            timestamp: TimePoint::from_unix_secs(1_800_000_000),
            witness: "alive.wit".into(),
            transaction_merkle_root: crate::MerkleRoot::from_bytes(root),
            extensions: Vec::new(),
        };
        let signed =
            SignedHeader { header, witness_signature: RecoverableSignature::from_bytes([1; 65]) };
        if at > 0 {
            answer.push(b',');
        }
        previous = push_block(&mut answer, &signed, transactions, b"");
    }
    answer.extend(b"]}");
    answer
}

/// Writes a block in the order in which hived writes its members, whatever its transactions and their ids are, and gives
/// back its id. The header must not have extensions.
pub fn push_block(
    to: &mut Vec<u8>,
    signed: &SignedHeader,
    transactions: &[u8],
    transaction_ids: &[u8],
) -> BlockId {
    let header = &signed.header;
    let id = signed.block_id().unwrap_or(BlockId::ZERO);
    let head = format!(
        r#"{{"previous":"{}","timestamp":"{}","witness":"{}","transaction_merkle_root":"{}","extensions":[],"witness_signature":"{}","transactions":["#,
        header.previous,
        header.timestamp,
        header.witness,
        header.transaction_merkle_root,
        signed.witness_signature,
    );
    let key = PublicKey::NULL.to_text(PREFIX);
    let tail = format!(r#"],"block_id":"{id}","signing_key":"{key}","transaction_ids":["#);
    to.extend(head.bytes());
    to.extend(transactions);
    to.extend(tail.bytes());
    to.extend(transaction_ids);
    to.extend(b"]}");
    id
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
