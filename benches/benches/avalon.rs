//! Claims about Avalon: hashing and signing cost at most 10 % over raw libsecp256k1, without its blinding, and SHA-256; JSON
//! text of large transactions is written at 1 GB/s; blocks are followed at 50,000 transactions a second with signatures unchecked, and
//! at libsecp256k1's own speed with them checked. First all of them by turns with their peers, javalon among these, which
//! needs Node.js with npm; then by criterion.
#![expect(clippy::expect_used, reason = "a bench that cannot run should say so and stop")]
#![expect(clippy::panic, clippy::unwrap_used, reason = "the same, in what the tests share")]
#![expect(clippy::cast_precision_loss, reason = "counts and sizes are far below 2^52")]
#![expect(clippy::print_stdout, reason = "its figures are its output")]

use std::{hint::black_box, process::Command, time::Duration};

use alive_avalon::{
    Account, Block, BlockHashing, Hash, JsonText, PrivateKey, SignedTransaction, Transaction,
    stream_ops, stream_ops_of, verify_signatures,
};
use benches::turns::{Ratio, Rounds, compare, time};
use criterion::{Criterion, Throughput};
use secp256k1::{Message, SecretKey, ecdsa};
use secp256k1_signing::{Secp256k1, SignOnly};
use serde_json::json;
use sha2::{Digest, Sha256};

#[path = "../../alive-avalon/tests/real_javalon/javalon.rs"]
mod javalon;

/// Transactions of a block. Source: `spec/avalon.md`, section 1.
const TXS: usize = 200;

fn main() {
    // Cargo says so when it measures.
    let is_test = !std::env::args().any(|argument| argument == "--bench");
    claims(is_test);
    let mut criterion = Criterion::default().configure_from_args();
    signing(&mut criterion);
    json_text(&mut criterion);
    following(&mut criterion);
    criterion.final_summary();
}

/// All claims by turns, so that their ratios mean something on a machine with other work.
fn claims(is_test: bool) {
    let rounds =
        if is_test { Rounds { count: 1, repeat: 1 } } else { Rounds { count: 21, repeat: 5 } };
    let raw_key = SecretKey::from_secret_bytes([7; 32]).expect("a scalar");
    let key = key();
    let transactions: Vec<_> = (0..TXS).map(push).collect();
    let texts: Vec<_> = transactions.iter().map(|tx| tx.as_text().as_str().to_owned()).collect();
    let message = |text: &String| Message::from_digest(Sha256::digest(text).into());
    let signer = Signer::new();
    let signing = compare(
        rounds,
        || time(|| transactions.iter().map(|tx| tx.sign(&[&key])).collect::<Vec<_>>()),
        || time(|| texts.iter().map(|text| signer.sign(text)).collect::<Vec<_>>()),
    );
    line("hash and sign, beside SHA-256 and libsecp256k1 (at most 1.10)", signing);
    let sign_raw =
        |text| ecdsa::RecoverableSignature::sign_ecdsa_recoverable(message(text), &raw_key);

    let signed: Vec<_> = transactions.iter().map(|tx| tx.sign(&[&key])).collect();
    let single: Vec<_> = transactions.iter().map(|tx| tx.sign_single(&key)).collect();
    let raw: Vec<_> = texts.iter().map(|text| (message(text), sign_raw(text))).collect();
    let public = raw_key.public_key();
    let verify = || {
        time(|| {
            for (message, signature) in &raw {
                ecdsa::verify(&signature.to_standard(), *message, &public).expect("signed");
            }
        })
    };
    let recover =
        || time(|| raw.iter().filter(|(message, raw)| raw.recover_ecdsa(*message).is_ok()).count());
    let alice = Account::new("alice", &key.public_key());
    let text = block_of(&single);
    line(
        "follow a block, signatures checked, beside libsecp256k1 verifying",
        compare(rounds, || time(|| follow(&text, Some(&alice))), verify),
    );
    let text = block_of(&signed);
    line(
        "the same in the form for several keys, beside libsecp256k1 recovering",
        compare(rounds, || time(|| follow(&text, Some(&alice))), recover),
    );
    let plain = compare(rounds, || time(|| follow(&text, None)), recover);
    let rate = TXS as f64 / plain.ours.as_secs_f64();
    println!("follow a block, signatures unchecked (at least 50,000 a second): {rate:.0} a second");
    for (name, text) in large() {
        let written = compare(rounds, || time(|| JsonText::of(&text)), || time(|| text.clone()));
        let rate = text.len() as f64 / written.ours.as_secs_f64() / 1e9;
        println!("JSON text of {name} (at least 1 GB/s): {rate:.2} GB/s");
    }
    beside_javalon(&transactions, &key, signing, is_test);
}

fn line(what: &str, Ratio { ours, peer, ratio }: Ratio) {
    let each = |all: Duration| all.as_secs_f64() * 1e6 / TXS as f64;
    println!("{what}: {:.2} and {:.2} µs, ratio {ratio:.3}", each(ours), each(peer));
}

/// What javalon takes for the same, in a process of its own.
fn beside_javalon(transactions: &[Transaction], key: &PrivateKey, ours: Ratio, is_test: bool) {
    let has = |program| Command::new(program).arg("--version").output().is_ok();
    if !has("node") || !has("npm") {
        println!("SKIPPED beside javalon: Node.js with npm is not installed");
        return;
    }
    let objects: Vec<serde_json::Value> = transactions
        .iter()
        .map(|tx| serde_json::from_str(tx.as_text().as_str()).expect("JSON"))
        .collect();
    let millis = if is_test { 1 } else { 2000 };
    let key = key.to_base58();
    let job = json!({"transactions": objects, "key": key.as_str(), "millis": millis});
    let theirs = javalon::run("bench", &job);
    let micros = |what: &str| {
        theirs.get(what).and_then(serde_json::Value::as_f64).expect("a number") / 1000.0
    };
    let (sign, each) = (micros("sign"), ours.ours.as_secs_f64() * 1e6 / TXS as f64);
    println!("javalon: hash and sign {sign:.1} µs, {:.1} times ours", sign / each);
    println!("javalon: hash and verify {:.1} µs", micros("verify"));
}

/// libsecp256k1 alone, which never blinds.
struct Signer {
    context: Secp256k1<SignOnly>,
    key: secp256k1_signing::SecretKey,
}

impl Signer {
    fn new() -> Self {
        let key = secp256k1_signing::SecretKey::from_byte_array([7; 32]).expect("a scalar");
        Self { context: Secp256k1::signing_only(), key }
    }

    fn sign(&self, text: &str) -> secp256k1_signing::ecdsa::RecoverableSignature {
        let digest = Sha256::digest(text).into();
        let message = secp256k1_signing::Message::from_digest(digest);
        self.context.sign_ecdsa_recoverable(message, &self.key)
    }
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
    let (key, signer) = (key(), Signer::new());
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
                black_box(signer.sign(text));
            }
        });
    });
    group.finish();
}

/// Large transactions as streams and posts have them: many entries, a long text, and both as other programs space them.
fn large() -> [(&'static str, String); 4] {
    let entries: Vec<_> = (0..900)
        .map(|seq| format!(r#"[{seq},"QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH,10.003"]"#))
        .collect();
    let many = format!(r#"{{"link":"my-stream","seq":[{}]}}"#, entries.join(","));
    let prose =
        "A stream about things that matter, é and 漢字, with a \\\"quote\\\" now and then. ";
    let long =
        format!(r#"{{"link":"post","json":{{"title":"x","body":"{}"}}}}"#, prose.repeat(700));
    let spaced = |text: &str| text.replace("],[", "], [").replace(':', ": ");
    let (wide, airy) = (spaced(&many), spaced(&long));
    [
        ("900 entries", many),
        ("900 entries with blanks", wide),
        ("a long post", long),
        ("a long post with blanks", airy),
    ]
}

fn json_text(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("avalon: JSON text of a large transaction");
    for (name, text) in large() {
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

/// A block of signed transactions as nodes tell it.
fn block_of(txs: &[SignedTransaction]) -> String {
    let list: Vec<_> = txs.iter().map(|tx| tx.as_text().as_str()).collect();
    let body = format!(
        r#"{{"_id":17150001,"phash":"{}","timestamp":1700000000000,"txs":[{}],"miner":"dtube""#,
        Hash::of(""),
        list.join(",")
    );
    let hash = Hash::of(format!("{body}}}"));
    format!(r#"{body},"hash":"{hash}","signature":"1"}}"#)
}

/// Reads a block, checks its hash, and takes the operations of streams out of it; with the signatures of the account
/// checked, if it is given.
fn follow(text: &str, account: Option<&Account>) {
    let block = Block::from_json(black_box(text)).expect("a block");
    block.check_hash(BlockHashing::V2).expect("its hash");
    for tx in block.transactions() {
        let ops = match account {
            None => stream_ops(&tx),
            Some(account) => {
                let signatures = tx.signatures().expect("signatures");
                let hash = tx.computed_hash();
                verify_signatures(&signatures, &hash, Some(26), Some(account), |_| None)
                    .expect("signed by alice");
                stream_ops_of(&tx, &hash)
            }
        };
        assert_eq!(ops.len(), 1);
    }
}

fn following(criterion: &mut Criterion) {
    let key = key();
    let txs: Vec<SignedTransaction> = (0..TXS).map(|seq| push(seq).sign_single(&key)).collect();
    let text = block_of(&txs);
    let mut group = criterion.benchmark_group("avalon: follow a block of 200 transactions");
    group.throughput(Throughput::Elements(TXS as u64));
    let alice = Account::new("alice", &key.public_key());
    group.bench_function("signatures unchecked", |b| b.iter(|| follow(&text, None)));
    group.sample_size(20);
    group.bench_function("signatures checked", |b| b.iter(|| follow(&text, Some(&alice))));
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
