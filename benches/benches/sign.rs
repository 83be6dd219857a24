//! Claim: signing one operation takes at most 10 % more than the raw signing attempts of libsecp256k1 that its canonical
//! form needs.
#![expect(clippy::expect_used, reason = "a bench that cannot run should say so and stop")]

use std::hint::black_box;

use alive_hive::{
    ChainId, Pack, RecoverRule, RecoverableSignature, SignAlgorithm, SignedTransaction, Transaction,
};
use benches::attempts::{attempts, raw_key, to_raw};
use benches::transactions::{key, transactions};
use criterion::{BatchSize, Criterion, Throughput};
use secp256k1::{Message, ecdsa::RecoverableSignature as Raw};
use sha2::{Digest, Sha256};

/// Transactions signed in one run. A signature takes 1.98 attempts in the mean, so one transaction says little.
const COUNT: usize = 500;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let transactions = transactions(COUNT);
    signing(&mut criterion, &transactions);
    recovering(&mut criterion, &transactions);
    serialising(&mut criterion, &transactions);
    criterion.final_summary();
}

fn signing(criterion: &mut Criterion, transactions: &[Transaction]) {
    let (key, chain) = (key(), ChainId::HIVE);
    let raw = raw_key(&key);
    let digests: Vec<_> = transactions.iter().map(|t| t.digest(&chain, Pack::Legacy)).collect();
    let attempts = attempts(&digests, &raw);
    let mut group = criterion.benchmark_group("sign: one custom_json");
    group.throughput(Throughput::Elements(COUNT.try_into().expect("small")));
    group.sample_size(30);
    group.bench_function("serialise, digest, sign as dhive", |b| {
        b.iter_batched(|| transactions.to_vec(), |all| sign(all, SignAlgorithm::Dhive), BATCH);
    });
    let peer = format!("peer: libsecp256k1, {} attempts for {COUNT}", attempts.len());
    group.bench_function(peer, |b| {
        b.iter(|| {
            for attempt in &attempts {
                black_box(attempt.run(&raw));
            }
        });
    });
    group.bench_function("serialise, digest, sign as hived", |b| {
        b.iter_batched(|| transactions.to_vec(), |all| sign(all, SignAlgorithm::Hived), BATCH);
    });
    group.finish();
}

const BATCH: BatchSize = BatchSize::LargeInput;

fn sign(transactions: Vec<Transaction>, algorithm: SignAlgorithm) -> Vec<SignedTransaction> {
    let key = key();
    transactions.into_iter().map(|t| t.sign(&[&key], &ChainId::HIVE, algorithm)).collect()
}

fn recovering(criterion: &mut Criterion, transactions: &[Transaction]) {
    let digest = |transaction: &Transaction| transaction.digest(&ChainId::HIVE, Pack::Legacy);
    let signed: Vec<([u8; 32], RecoverableSignature)> = transactions
        .iter()
        .map(|t| (digest(t), RecoverableSignature::sign(&digest(t), &key(), SignAlgorithm::Dhive)))
        .collect();
    let raw: Vec<(Message, Raw)> = signed.iter().map(|(digest, s)| to_raw(digest, s)).collect();
    let mut group = criterion.benchmark_group("sign: recover the key");
    group.throughput(Throughput::Elements(COUNT.try_into().expect("small")));
    group.sample_size(30);
    group.bench_function("recover", |b| {
        b.iter(|| {
            for (digest, signature) in &signed {
                black_box(signature.recover(digest, RecoverRule::Hived).expect("it was signed"));
            }
        });
    });
    group.bench_function("peer: libsecp256k1", |b| {
        b.iter(|| {
            for (message, signature) in &raw {
                black_box(signature.recover_ecdsa(*message).expect("it was signed"));
            }
        });
    });
    group.finish();
}

fn serialising(criterion: &mut Criterion, transactions: &[Transaction]) {
    let bytes: Vec<Vec<u8>> = transactions.iter().map(|t| t.to_bytes(Pack::Legacy)).collect();
    let mut group = criterion.benchmark_group("sign: serialise and id");
    group.throughput(Throughput::Elements(COUNT.try_into().expect("small")));
    group.bench_function("serialise, id", |b| {
        b.iter(|| {
            for transaction in transactions {
                black_box(transaction.id(Pack::Legacy));
            }
        });
    });
    group.bench_function("peer: sha2 of the same bytes", |b| {
        b.iter(|| {
            for bytes in &bytes {
                black_box(Sha256::digest(bytes));
            }
        });
    });
    group.finish();
}
