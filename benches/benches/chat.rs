//! Claim: verifying chat messages runs at 95 % of raw libsecp256k1, on one core and on two; an archive is read at that
//! limit.
#![expect(clippy::expect_used, reason = "a bench that cannot run should say so and stop")]

use std::{hint::black_box, num::NonZeroUsize, thread};

use alive_chat::{
    ArchiveReader, ArchiveWriter, Family, KeySet, Message, Moment, Networks, StreamChat, Verified,
};
use alive_core::{Network, backend::SignatureScheme as _};
use alive_hive::{GraphenePlain, PrivateKey, RecoverableSignature, SignAlgorithm, is_account_name};
use benches::attempts::to_raw;
use criterion::{BatchSize, Criterion, Throughput};
use secp256k1::{Message as Digest, ecdsa::RecoverableSignature as Raw};

/// Messages verified in one run.
const COUNT: usize = 2000;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let chat = chat();
    let lines = signed(&chat);
    let raw: Vec<(Digest, Raw)> = lines.iter().map(|(_, digest, s)| to_raw(digest, s)).collect();
    let messages: Vec<Message> = lines.into_iter().map(|(message, ..)| message).collect();
    verify(&mut criterion, &chat, &messages, &raw);
    archive(&mut criterion, &chat, &messages, &raw);
    criterion.final_summary();
}

fn key() -> PrivateKey {
    PrivateKey::from_bytes(&[7; 32]).expect("a scalar")
}

fn keys() -> KeySet {
    [key().public_key().into()].into_iter().collect()
}

fn chat() -> StreamChat {
    let hive = Family::new(Network::hive(), GraphenePlain, is_account_name);
    let networks = Networks::new([hive]).expect("one network");
    let id = "hive/techcoderx/live-1".parse().expect("a stream");
    StreamChat::new(networks, id).expect("a stream of hive")
}

/// Messages of one account, a millisecond apart.
fn signed(chat: &StreamChat) -> Vec<(Message, [u8; 32], RecoverableSignature)> {
    let (key, alice) = (key(), chat.networks().account("hive", "alice").expect("a name"));
    let mut time = Moment::EPOCH.after_ms(1_795_219_380_221.0);
    let one = |n: usize| {
        time = time.after_ms(1.0);
        let text = format!("message {n} of somebody who has something to say");
        let digest = GraphenePlain.digest(chat.message_text(&alice, time, &text).as_bytes());
        let signature = RecoverableSignature::sign(&digest, &key, SignAlgorithm::Dhive);
        let json =
            format!(r#"{{"u":"alice","n":"hive","s":"{signature}","t":{time},"m":"{text}"}}"#);
        (Message::from_json(chat.networks(), &json).expect("a message"), digest, signature)
    };
    (0..COUNT).map(one).collect()
}

/// From a message in its form to the fact that its account signed it: text, digest, key, comparison.
fn verify(
    criterion: &mut Criterion,
    chat: &StreamChat,
    messages: &[Message],
    raw: &[(Digest, Raw)],
) {
    let keys = keys();
    let mut group = criterion.benchmark_group("chat: verify");
    group.throughput(Throughput::Elements(COUNT.try_into().expect("small")));
    group.sample_size(20);
    for threads in [1, 2] {
        let threads = NonZeroUsize::new(threads).expect("not zero");
        group.bench_function(format!("messages, threads: {threads}"), |b| {
            b.iter_batched(
                || messages.to_vec(),
                |all| {
                    let recovered = chat.recover_all(all, threads).into_iter();
                    let good = recovered.flatten().filter_map(|one| one.allow(&keys)).count();
                    assert_eq!(good, COUNT, "every message is good");
                },
                BatchSize::LargeInput,
            );
        });
        group.bench_function(format!("peer: libsecp256k1, threads: {threads}"), |b| {
            b.iter(|| raw_recover(raw, threads));
        });
    }
    group.finish();
}

fn raw_recover(raw: &[(Digest, Raw)], threads: NonZeroUsize) {
    let one = |part: &[(Digest, Raw)]| {
        for (digest, signature) in part {
            black_box(signature.recover_ecdsa(*digest).expect("it was signed"));
        }
    };
    thread::scope(|scope| {
        for part in raw.chunks(raw.len().div_ceil(threads.get())) {
            scope.spawn(move || one(part));
        }
    });
}

fn archive(
    criterion: &mut Criterion,
    chat: &StreamChat,
    messages: &[Message],
    raw: &[(Digest, Raw)],
) {
    let keys = keys();
    let recovered = chat.recover_all(messages.to_vec(), NonZeroUsize::MIN).into_iter();
    let verified: Vec<Verified<Message>> =
        recovered.flatten().filter_map(|one| one.allow(&keys)).collect();
    let write = || {
        let mut writer = ArchiveWriter::new(chat.clone(), Vec::new());
        for message in &verified {
            writer.push(message).expect("in order");
        }
        writer.finish().expect("memory does not fail")
    };
    let file = write();
    let mut group = criterion.benchmark_group("chat: archive");
    group.throughput(Throughput::Elements(COUNT.try_into().expect("small")));
    group.sample_size(20);
    group.bench_function("write verified messages", |b| b.iter(|| black_box(write())));
    let threads = NonZeroUsize::MIN;
    group.bench_function("read and verify, threads: 1", |b| {
        b.iter(|| {
            let mut reader = ArchiveReader::new(chat.clone(), &*file).threads(threads);
            let mut good = 0;
            while let Some(line) = reader.next_line().expect("an archive") {
                good += usize::from(reader.judge(line, Some(&keys)).is_ok());
            }
            assert_eq!(good, COUNT, "every line is good");
        });
    });
    group.bench_function("peer: libsecp256k1, threads: 1", |b| {
        b.iter(|| raw_recover(raw, threads));
    });
    group.finish();
}
