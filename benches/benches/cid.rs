//! Claim: the CID of a file of 100 MiB is computed at 85 % or more of the speed of hashing the same bytes with the
//! fastest SHA-256 crate at hand.
#![expect(clippy::expect_used, reason = "a bench that cannot run should say so and stop")]

use std::io::Write;

use aws_lc_rs::digest::{self, SHA256};
use benches::files::{PROFILES, bytes, hash_of_file, id_of_bytes, id_of_file};
use criterion::{Criterion, Throughput};
use sha2::{Digest, Sha256};

const SIZE: usize = 100 << 20;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let data = bytes(SIZE);
    let mut file = tempfile::tempfile().expect("there is a folder for temporary files");
    file.write_all(&data).expect("there is room for 100 MiB");
    let mut group = criterion.benchmark_group("cid: 100 MiB");
    group.throughput(Throughput::Bytes(SIZE.try_into().expect("small")));
    group.sample_size(20);
    group.bench_function("peer: sha2, memory", |b| b.iter(|| Sha256::digest(&data)));
    group.bench_function("peer: aws-lc-rs, memory", |b| b.iter(|| digest::digest(&SHA256, &data)));
    for profile in PROFILES {
        group.bench_function(format!("{profile}, memory"), |b| {
            b.iter(|| id_of_bytes(&data, profile));
        });
    }
    group.bench_function("peer: sha2, file", |b| b.iter(|| hash_of_file(&mut file)));
    for profile in PROFILES {
        group.bench_function(format!("{profile}, file"), |b| {
            b.iter(|| id_of_file(&mut file, profile));
        });
    }
    group.finish();
    criterion.final_summary();
}
