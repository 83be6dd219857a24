//! Claims: an archive is verified at 85 % or more of plain SHA-256; two threads cut a file more than 1.7 times as fast as
//! one; a segment of 2 MB is put and got at 80 % or more of the speed of plain files with the same durability.
#![expect(clippy::expect_used, reason = "a bench that cannot run should say so and stop")]

use std::{convert::Infallible, io, num::NonZeroUsize};

use alive_storage::{
    DiskStorage, NewBlock,
    car::CarDecoder,
    unixfs::{Importer, Profile, import_bytes_parallel},
};
use benches::{
    files::bytes,
    store::{
        SEGMENT, Segments, archive, get, get_plain, get_plain_checked, put, put_plain, verify,
    },
};
use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput};
use sha2::{Digest, Sha256};

const SIZE: usize = 64 << 20;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    car(&mut criterion);
    threads(&mut criterion);
    growing(&mut criterion);
    segments(&mut criterion);
    criterion.final_summary();
}

fn car(criterion: &mut Criterion) {
    let (car, root) = archive(SIZE);
    let shared = Bytes::from(car.clone());
    let mut group = criterion.benchmark_group("car: 64 MiB");
    group.throughput(Throughput::Bytes(car.len() as u64)).sample_size(20);
    group.bench_function("peer: sha2", |b| b.iter(|| Sha256::digest(&car)));
    group.bench_function("verify", |b| b.iter(|| verify(&car, root)));
    group.bench_function("decode, pushed at once", |b| {
        b.iter(|| {
            let mut decoder = CarDecoder::new(shared.len() as u64);
            decoder.push(shared.clone());
            std::iter::from_fn(|| decoder.poll().expect("it was just written")).count()
        });
    });
    group.finish();
}

fn threads(criterion: &mut Criterion) {
    let data = bytes(SIZE);
    let mut group = criterion.benchmark_group("cut: 64 MiB");
    group.throughput(Throughput::Bytes(SIZE as u64)).sample_size(20);
    for count in [1, 2] {
        let threads = NonZeroUsize::new(count).expect("not zero");
        group.bench_function(format!("threads: {count}"), |b| {
            let mut discard = |_: &NewBlock<'_>| Ok::<(), io::Error>(());
            b.iter(|| {
                import_bytes_parallel(&data, Profile::default().into(), threads, &mut discard)
            });
        });
    }
    group.finish();
}

/// The id of a file after each kilobyte that it grows, at a length of 64 MiB.
fn growing(criterion: &mut Criterion) {
    let mut discard = |_: &NewBlock<'_>| Ok::<(), Infallible>(());
    let mut importer = Importer::new(Profile::default().into());
    let Ok(()) = importer.push(&bytes(SIZE - 1000), &mut discard);
    criterion.bench_function("grow: 1000 bytes at 64 MiB", |b| {
        b.iter_batched_ref(
            || importer.clone(),
            |importer| {
                let Ok(()) = importer.push(&[7; 1000], &mut discard);
                importer.root_so_far(&mut discard)
            },
            BatchSize::SmallInput,
        );
    });
}

fn segments(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("there is a folder for temporary files");
    let storage = DiskStorage::open_dir(folder.path().join("store")).expect("it is empty");
    let plain = folder.path().join("plain");
    std::fs::create_dir(&plain).expect("it is empty");
    let mut segments = Segments::default();
    let mut group = criterion.benchmark_group("segment: 2 MB");
    group.throughput(Throughput::Bytes(SEGMENT as u64)).sample_size(20);
    group.bench_function("put", |b| {
        b.iter_batched(
            || segments.next_segment().to_vec(),
            |segment| put(&storage, &segment),
            BatchSize::PerIteration,
        );
    });
    group.bench_function("peer: plain file, synced", |b| {
        b.iter_batched(
            || (segments.next_segment().to_vec(), segments.count()),
            |(segment, number)| put_plain(&plain, number % 64, &segment),
            BatchSize::PerIteration,
        );
    });
    let segment = segments.next_segment();
    let root = put(&storage, segment);
    put_plain(&plain, 0, segment);
    group.bench_function("get", |b| b.iter(|| get(&storage, root)));
    group.bench_function("peer: plain file, read and hashed", |b| {
        b.iter(|| get_plain_checked(&plain, 0));
    });
    group.bench_function("limit: plain file, read", |b| b.iter(|| get_plain(&plain, 0)));
    group.finish();
}
