//! Claims about Avalon: hashing and signing cost at most 10 % over raw libsecp256k1 and SHA-256; JSON text of large
//! transactions is written at 1 GB/s; blocks are followed at 50,000 transactions a second with signatures unchecked, and
//! at libsecp256k1's own speed with them checked.
#![expect(clippy::expect_used, reason = "a bench that cannot run should say so and stop")]

use std::hint::black_box;

use alive_avalon::{
    Account, Block, BlockHashing, Hash, JsonText, PrivateKey, SignedTransaction, Transaction,
    stream_ops, verify_signatures,
};
use criterion::{Criterion, Throughput};
use secp256k1::{Message, SecretKey, ecdsa};
use sha2::{Digest, Sha256};

/// Transactions of a block. Source: `spec/avalon.md`, section 1.
const TXS: usize = 200;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    signing(&mut criterion);
    json_text(&mut criterion);
    following(&mut criterion);
    criterion.final_summary();
}

fn key() -> PrivateKey {
    PrivateKey::from_bytes(&[7; 32]).expect("a scalar")
}

/// A push of one segment.
fn push(seq: usize) -> Transaction {
    let data = format!(
        r#"{{"link":"my-stream","seq":[[{seq},"QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH,10.003"]]}}"#
    );
    let data = JsonText::of(&data).expect("JSON");
    let ts = 1_700_000_000_000 + i64::try_from(seq).expect("small");
    Transaction::new(26, &data, "alice", ts).expect("a sane one")
}

fn signing(criterion: &mut Criterion) {
    let (key, raw) = (key(), SecretKey::from_secret_bytes([7; 32]).expect("a scalar"));
    let transactions: Vec<_> = (0..TXS).map(push).collect();
    let texts: Vec<_> = transactions.iter().map(|tx| tx.as_text().as_str().to_owned()).collect();
    let mut group = criterion.benchmark_group("avalon: hash and sign a push");
    group.throughput(Throughput::Elements(TXS as u64));
    group.bench_function("sign", |b| {
        b.iter(|| {
            transactions.iter().map(|tx| tx.sign(&[&key])).for_each(|tx| drop(black_box(tx)));
        });
    });
    group.bench_function("peer: SHA-256 and libsecp256k1", |b| {
        b.iter(|| {
            for text in &texts {
                let message = Message::from_digest(Sha256::digest(text).into());
                black_box(ecdsa::RecoverableSignature::sign_ecdsa_recoverable(message, &raw));
            }
        });
    });
    group.finish();
}

/// Large transactions as streams and posts have them: many entries, and a long text.
fn json_text(criterion: &mut Criterion) {
    let entries: Vec<_> = (0..900)
        .map(|seq| format!(r#"[{seq},"QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH,10.003"]"#))
        .collect();
    let many = format!(r#"{{"link":"my-stream","seq":[{}]}}"#, entries.join(","));
    let prose =
        "A stream about things that matter, é and 漢字, with a \\\"quote\\\" now and then. ";
    let long =
        format!(r#"{{"link":"post","json":{{"title":"x","body":"{}"}}}}"#, prose.repeat(700));
    let mut group = criterion.benchmark_group("avalon: JSON text of a large transaction");
    for (name, text) in [("900 entries", many), ("a long post", long)] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |b| b.iter(|| JsonText::of(black_box(&text)).expect("JSON")));
        group.bench_function(format!("{name}, peer: serde_json, without order"), |b| {
            b.iter(|| {
                let value: serde_json::Value =
                    serde_json::from_str(black_box(&text)).expect("JSON");
                serde_json::to_string(&value).expect("text")
            });
        });
    }
    group.finish();
}

fn following(criterion: &mut Criterion) {
    let key = key();
    let txs: Vec<SignedTransaction> = (0..TXS).map(|seq| push(seq).sign_single(&key)).collect();
    let list: Vec<_> = txs.iter().map(|tx| tx.as_text().as_str()).collect();
    let body = format!(
        r#"{{"_id":17150001,"phash":"{}","timestamp":1700000000000,"txs":[{}],"miner":"dtube""#,
        Hash::of(""),
        list.join(",")
    );
    let hash = Hash::of(format!("{body}}}"));
    let text = format!(r#"{body},"hash":"{hash}","signature":"1"}}"#);
    let alice = Account::new("alice", &key.public_key());
    let read = |text: &str| {
        let block = Block::from_json(text).expect("a block");
        block.check_hash(BlockHashing::V2).expect("its hash");
        block
    };
    let mut group = criterion.benchmark_group("avalon: follow a block of 200 transactions");
    group.throughput(Throughput::Elements(TXS as u64));
    group.bench_function("signatures unchecked", |b| {
        b.iter(|| {
            let block = read(black_box(&text));
            assert_eq!(block.transactions().map(|tx| stream_ops(&tx).len()).sum::<usize>(), TXS);
        });
    });
    group.sample_size(20);
    group.bench_function("signatures checked", |b| {
        b.iter(|| {
            let block = read(black_box(&text));
            for tx in block.transactions() {
                let signatures = tx.signatures().expect("signatures");
                let hash = tx.computed_hash();
                verify_signatures(&signatures, &hash, Some(26), Some(&alice), |_| None)
                    .expect("signed by alice");
                assert_eq!(stream_ops(&tx).len(), 1);
            }
        });
    });
    let public = SecretKey::from_secret_bytes([7; 32]).expect("a scalar").public_key();
    let raw: Vec<_> = txs
        .iter()
        .map(|tx| {
            let text =
                tx.parts().signature.and_then(alive_avalon::JsonRef::to_text).expect("a signature");
            let signature: alive_avalon::Signature = text.parse().expect("a signature");
            let raw = ecdsa::Signature::from_compact(signature.as_bytes()).expect("a signature");
            (Message::from_digest(*tx.hash().as_bytes()), raw)
        })
        .collect();
    group.bench_function("peer: libsecp256k1 alone", |b| {
        b.iter(|| {
            for (message, signature) in &raw {
                ecdsa::verify(signature, *message, &public).expect("signed");
            }
        });
    });
    group.finish();
}
