//! Claim: an archive of 1,000,000 messages is written and verified in constant memory.
#![cfg(test)]

use std::{
    fs::File,
    io::{BufReader, BufWriter, Write as _},
    num::NonZeroUsize,
    thread,
    time::Instant,
};

use alive_chat::{
    ArchiveReader, ArchiveWriter, Family, KeySet, Message, Moment, Networks, StreamChat,
};
use alive_core::{Network, backend::SignatureScheme as _};
use alive_hive::{GraphenePlain, PrivateKey, RecoverableSignature, SignAlgorithm, is_account_name};

/// Without optimisation a part of it shows the same.
const COUNT: u32 = if cfg!(debug_assertions) { 60_000 } else { 1_000_000 };
/// Messages that are made, verified and written at once.
const BATCH: u32 = 4096;
/// What memory may grow by over the first tenth, in KiB.
const MAX_GROWTH_KIB: u64 = 8 * 1024;

/// The memory of this process, in KiB, by the kernel.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[expect(clippy::print_stderr, reason = "a figure is of use only where it is read")]
fn say(figure: &str) {
    eprintln!("{figure}");
}

/// Messages of one account, a millisecond apart, signed on every core.
fn signed(chat: &StreamChat, key: &PrivateKey, from: u32, count: u32) -> Vec<Message> {
    let alice = chat.networks().account("hive", "alice").unwrap();
    let one = |n: u32| {
        let time = Moment::EPOCH.after_ms(1_795_219_380_221.0 + f64::from(n));
        let text = format!("message {n} of somebody who has something to say");
        let digest = GraphenePlain.digest(chat.message_text(&alice, time, &text).as_bytes());
        let s = RecoverableSignature::sign(&digest, key, SignAlgorithm::Dhive);
        let json = format!(r#"{{"u":"alice","n":"hive","s":"{s}","t":{time},"m":"{text}"}}"#);
        Message::from_json(chat.networks(), &json).unwrap()
    };
    let half = from + count / 2;
    thread::scope(|scope| {
        let first = scope.spawn(|| (from..half).map(one).collect::<Vec<_>>());
        let second: Vec<_> = (half..from + count).map(one).collect();
        first.join().unwrap().into_iter().chain(second).collect()
    })
}

#[test]
#[ignore = "takes minutes in release, where it is a million"]
fn a_million_messages_are_written_and_verified_in_constant_memory() {
    let hive = Family::new(Network::hive(), GraphenePlain, is_account_name);
    let networks = Networks::new([hive]).unwrap();
    let chat = StreamChat::new(networks, "hive/techcoderx/live-1".parse().unwrap()).unwrap();
    let key = PrivateKey::from_bytes(&[7; 32]).unwrap();
    let keys: KeySet = [key.public_key().into()].into_iter().collect();
    let threads = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let file = tempfile::NamedTempFile::new().unwrap();

    let to = BufWriter::new(File::create(file.path()).unwrap());
    let mut writer = ArchiveWriter::new(chat.clone(), to);
    let (mut at_tenth, mut most) = (0, 0);
    let mut writing = 0.0;
    for from in (0..COUNT).step_by(BATCH as usize) {
        let messages = signed(&chat, &key, from, BATCH.min(COUNT - from));
        let start = Instant::now();
        for recovered in chat.recover_all(messages, threads) {
            writer.push(&recovered.unwrap().allow(&keys).unwrap()).unwrap();
        }
        writing += start.elapsed().as_secs_f64();
        if from <= COUNT / 10 {
            at_tenth = resident_kib();
        }
        most = most.max(resident_kib());
    }
    assert_eq!(writer.len(), u64::from(COUNT));
    writer.finish().unwrap().flush().unwrap();
    let size = std::fs::metadata(file.path()).unwrap().len();
    say(&format!(
        "written: {COUNT} messages, {size} bytes, verified and written at {:.0}/s; memory {at_tenth} KiB after a tenth, at most {most} KiB",
        f64::from(COUNT) / writing
    ));
    assert!(most <= at_tenth + MAX_GROWTH_KIB, "writing: {at_tenth} KiB grew to {most} KiB");

    let start = Instant::now();
    let from = BufReader::new(File::open(file.path()).unwrap());
    let mut reader = ArchiveReader::new(chat, from).threads(threads);
    let (mut good, mut at_tenth, mut most) = (0, 0, 0);
    while let Some(line) = reader.next_line().unwrap() {
        reader.judge(line, Some(&keys)).unwrap();
        good += 1;
        if good % BATCH == 0 {
            if good <= COUNT / 10 {
                at_tenth = resident_kib();
            }
            most = most.max(resident_kib());
        }
    }
    say(&format!(
        "read: {good} messages verified at {:.0}/s on {threads} threads; memory {at_tenth} KiB after a tenth, at most {most} KiB",
        f64::from(COUNT) / start.elapsed().as_secs_f64()
    ));
    assert_eq!(good, COUNT);
    assert!(most <= at_tenth + MAX_GROWTH_KIB, "reading: {at_tenth} KiB grew to {most} KiB");
}
