//! Signed writes into user space, each verified as it enters, beside the bare P-256 verification that they need.
//!
//! The claim: at least 80 % of its speed. Values, souls and states differ from write to write; the owner is the same, as in
//! a stream, or one of many.
#![expect(clippy::expect_used, reason = "a bench that cannot run should say so and stop")]

use std::hint::black_box;

use alive_db::{
    gun::{Admission as _, Put, State, Value},
    json::Text,
    sea::{KeyPair, UserSpace, sign_value},
};
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
        ParsedPublicKey, UnparsedPublicKey,
    },
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const NOW: f64 = 1_795_219_439_353.0;
const WRITES: u32 = 64;

struct Write {
    soul: Text,
    key: Text,
    value: Value,
    state: State,
}

impl Write {
    fn new(keys: &KeyPair, n: u32) -> Self {
        let state = State::new(NOW + f64::from(n) / 999.0).expect("finite");
        let soul = Text::from(format!("~{}/mwpnawop{n:012}", keys.public()));
        let key = Text::from("src");
        let value = Value::from("QmNoa96v5gCfnzsdEbzZtrJvuXH14hS8k8DPPUQbdJMy7i");
        let value = sign_value(keys, &soul, &key, &value, state).expect("signed");
        Self { soul, key, value, state }
    }

    fn enters(&self, rules: &UserSpace) -> bool {
        let Self { soul, key, value, state } = self;
        rules.admit(Put { soul, key, value, state: *state }, NOW + 1000.0).is_ok()
    }
}

fn verified_writes(c: &mut Criterion) {
    let one = KeyPair::generate().expect("keys");
    let of_one: Vec<_> = (0..WRITES).map(|n| Write::new(&one, n)).collect();
    let of_many: Vec<_> =
        (0..WRITES).map(|n| Write::new(&KeyPair::generate().expect("keys"), n)).collect();

    let signer = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("keys");
    let public = signer.public_key().as_ref();
    let parsed = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public).expect("a key");
    let bytes = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public);
    let messages: Vec<_> = (0..WRITES)
        .map(|n| {
            let message = [n.to_be_bytes(); 8].concat();
            let signature = signer.sign(&SystemRandom::new(), &message).expect("signed");
            (message, signature)
        })
        .collect();

    let mut group = c.benchmark_group("verified signed writes");
    group.throughput(Throughput::Elements(WRITES.into()));
    group.bench_function("limit: bare P-256, key decoded before", |b| {
        b.iter(|| {
            messages.iter().all(|(m, s)| parsed.verify_sig(black_box(m), s.as_ref()).is_ok())
        });
    });
    group.bench_function("limit: bare P-256, key decoded each time", |b| {
        b.iter(|| messages.iter().all(|(m, s)| bytes.verify(black_box(m), s.as_ref()).is_ok()));
    });
    let rules = UserSpace::default();
    group.bench_function("ours, one owner", |b| {
        b.iter(|| assert!(black_box(&of_one).iter().all(|write| write.enters(&rules))));
    });
    group.bench_function("ours, an owner for each", |b| {
        b.iter(|| assert!(black_box(&of_many).iter().all(|write| write.enters(&rules))));
    });
    group.bench_function("ours, an owner for each, not seen before", |b| {
        b.iter_batched(
            UserSpace::default,
            |rules| assert!(black_box(&of_many).iter().all(|write| write.enters(&rules))),
            criterion::BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, verified_writes);
criterion_main!(benches);
