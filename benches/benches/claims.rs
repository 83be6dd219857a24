//! All claims of speed, ours and the peer by turns, so that their ratio means something on a machine with other work.
//! Says which claims hold; `--test` runs each once and judges nothing, and a word runs only the claims it is part of, such
//! as `hive`.
#![expect(clippy::expect_used, reason = "a bench that cannot run should say so and stop")]
#![expect(clippy::print_stdout, reason = "its figures are its output")]

use std::{collections::HashMap, hint::black_box, io::Write, time::Duration};

use alive_core::{DEFAULT_CUSTOM_JSON_ID, Index, Op, SignedOp, Timestamp, backend::Block};
use alive_hive::{
    BlockAnswer, BlockReader, ChainId, ExtractedBlock, KeyPrefix, Pack, PrivateKey, RecoverRule,
    RecoverableSignature, SignAlgorithm, Transaction, extract_blocks,
};
use alive_playlist::{ListSettings, LivePlaylist, MediaPlaylist, assemble};
use aws_lc_rs::digest;
use benches::attempts::{attempts, raw_key, to_raw};
use benches::blocks;
use benches::day::{self, Dates, Ids};
use benches::files::{PROFILES, bytes, id_of_bytes, id_of_file};
use benches::indexes::{append, apply, apply_blocks, prepared};
use benches::transactions::{key, transactions};
use benches::turns::{Ratio, Rounds, compare, time};
use memchr::memmem::Finder;
use serde_json::Value;
use sha2::{Digest, Sha256};

fn main() {
    let is_test = std::env::args().any(|argument| argument == "--test");
    let rounds = |count, repeat| {
        if is_test { Rounds { count: 0, repeat: 1 } } else { Rounds { count, repeat } }
    };
    println!("{:<44} {:>12} {:>12} {:>7}  claim", "", "ours", "peer", "ratio");
    let sections: [(&str, &dyn Fn()); 7] = [
        ("index", &|| index(rounds(31, 5))),
        ("op", &|| op_json(rounds(31, 20))),
        ("playlist", &|| playlist(rounds(31, 20))),
        ("cid", &|| cid(rounds(15, 3))),
        ("sign", &|| sign(rounds(31, 3))),
        ("hive scan", &|| hive_scan(rounds(31, 20))),
        ("hive blocks", &|| hive_blocks(rounds(31, 3))),
    ];
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    for (name, run) in sections {
        if wanted.as_ref().is_none_or(|wanted| name.contains(wanted.as_str())) {
            run();
        }
    }
}

/// Prints a line of the table.
fn report(name: &str, got: Ratio, claim: &str, holds: Option<bool>) {
    let verdict = match holds {
        Some(true) => "holds",
        Some(false) => "FAILS",
        None => "",
    };
    let [ours, peer] = [got.ours, got.peer].map(|took| format!("{took:.2?}"));
    println!("{name:<44} {ours:>12} {peer:>12} {:>7.3}  {claim} {verdict}", got.ratio);
}

/// Prints a line whose claim is a rate of ours, in units per second.
fn report_rate(name: &str, got: Ratio, units: usize, (claim, unit): (f64, &str)) {
    let rate = units_per_second(units, got.ours);
    let text = format!("{rate:.3e} {unit}/s, claim {claim:.0e}:");
    report(name, got, &text, Some(rate >= claim));
}

fn units_per_second(units: usize, took: Duration) -> f64 {
    f64::from(u32::try_from(units).expect("small")) / took.as_secs_f64()
}

fn index(rounds: Rounds) {
    for (name, streams, per_stream) in [("a day", 1, day::SEGMENTS), ("1000 streams", 1000, 100)] {
        let (configures, pushes) = (day::configures(streams), day::pushes(streams, per_stream));
        let blocks = day::blocks(&pushes, 50);
        let peer = || {
            let mut lists = HashMap::new();
            let took = time(|| append(&mut lists, &pushes));
            drop(lists);
            took
        };
        let one_by_one = || {
            let mut index = prepared(&configures);
            time(|| apply(&mut index, &pushes))
        };
        let by_block = || {
            let mut index = prepared(&configures);
            time(|| apply_blocks(&mut index, &blocks))
        };
        let texts: Vec<(&str, String)> =
            pushes.iter().map(|signed| (signed.account.as_str(), signed.op.to_json())).collect();
        let with_reading = || {
            let mut index = prepared(&configures);
            time(|| read_and_apply(&mut index, &texts))
        };
        let claim = (1e6, "op");
        let got = compare(rounds, one_by_one, peer);
        report_rate(&format!("index, apply, {name}"), got, pushes.len(), claim);
        let got = compare(rounds, by_block, peer);
        report_rate(&format!("index, apply_block, {name}"), got, pushes.len(), claim);
        let got = compare(rounds, with_reading, peer);
        report_rate(&format!("index, read and apply, {name}"), got, pushes.len(), claim);
    }
}

/// From the text of each operation, which the claim does not ask for.
fn read_and_apply(index: &mut Index, texts: &[(&str, String)]) {
    for (account, text) in texts {
        let signed = SignedOp::from_parts(&[account], text).expect("it was just written");
        black_box(index.apply(&signed, Timestamp::EPOCH).expect("every push is accepted"));
    }
}

fn op_json(rounds: Rounds) {
    let texts: Vec<String> =
        day::pushes(1, 1000).iter().map(|signed| signed.op.to_json()).collect();
    let ours = || {
        time(|| {
            for text in &texts {
                black_box(Op::from_json(text).expect("it was just written"));
            }
        })
    };
    let peer = || {
        time(|| {
            for text in &texts {
                black_box(serde_json::from_str::<Value>(text).expect("it is JSON"));
            }
        })
    };
    report("op, read 1000 payloads / serde_json::Value", compare(rounds, ours, peer), "", None);
}

fn playlist(rounds: Rounds) {
    let settings = ListSettings::default();
    for ids in [Ids::V0, Ids::V1] {
        let segments = day::segments(ids, day::SEGMENTS);
        let text = assemble(&segments, true, &settings);
        let mut copy = text.clone();
        let build = || time(|| assemble(&segments, true, &settings));
        let got = compare(rounds, build, || time(|| copy.copy_from_slice(&text)));
        let name = format!("playlist, build a day, {ids:?} / memcpy");
        report(&name, got, "at most 20:", Some(got.ratio <= 20.0));
        let got = compare(rounds, build, || time(|| text.clone()));
        report(&format!("playlist, build a day, {ids:?} / clone"), got, "", None);
        appending(rounds, ids, &settings);
    }
    for dates in [Dates::None, Dates::Each] {
        let text = day::list_text(dates);
        let ours = || time(|| MediaPlaylist::read(text.as_bytes()).expect("it is a list"));
        let peer = || time(|| m3u8_rs::parse_media_playlist_res(text.as_bytes()));
        let name = format!("playlist, read, dates {dates:?} / m3u8-rs");
        report_rate(&name, compare(rounds, ours, peer), text.len(), (1e9, "B"));
    }
}

fn appending(rounds: Rounds, ids: Ids, settings: &ListSettings) {
    let segments = day::segments(ids, day::SEGMENTS);
    let (before, hour) = segments.split_at(day::SEGMENTS - day::HOUR);
    for (name, before, more) in
        [("the 24th hour", before, hour), ("a day", &[], segments.as_slice())]
    {
        let mut list_before = LivePlaylist::new(settings);
        list_before.extend(before);
        let text = assemble(more, false, settings);
        let ours = || {
            let mut list = list_before.clone();
            time(|| more.iter().for_each(|segment| list.push(segment)))
        };
        let peer = || {
            let mut copy = list_before.as_bytes().to_vec();
            time(|| {
                for line in text.chunks(text.len() / more.len()) {
                    copy.extend_from_slice(line);
                }
            })
        };
        let got = compare(rounds, ours, peer);
        let each = got.ours / u32::try_from(more.len()).expect("small");
        let claim = format!("{each:.2?} each, claim 5 µs:");
        let name = format!("playlist, append {name}, {ids:?} / memcpy");
        report(&name, got, &claim, Some(each < Duration::from_micros(5)));
    }
}

fn cid(rounds: Rounds) {
    let data = bytes(100 << 20);
    let mut file = tempfile::tempfile().expect("there is a folder for temporary files");
    file.write_all(&data).expect("there is room for 100 MiB");
    for profile in PROFILES {
        let sha2 = || time(|| Sha256::digest(&data));
        let aws = || time(|| digest::digest(&digest::SHA256, &data));
        let memory = || time(|| id_of_bytes(&data, profile));
        report_speed(&format!("cid, {profile}, memory / sha2"), compare(rounds, memory, sha2));
        report_speed(&format!("cid, {profile}, memory / aws-lc-rs"), compare(rounds, memory, aws));
        let mut from_file = || time(|| id_of_file(&mut file, profile));
        let got = compare(rounds, &mut from_file, sha2);
        report_speed(&format!("cid, {profile}, file / sha2"), got);
        let got = compare(rounds, &mut from_file, aws);
        report_speed(&format!("cid, {profile}, file / aws-lc-rs"), got);
    }
}

fn report_speed(name: &str, got: Ratio) {
    let speed = 1.0 / got.ratio;
    report(
        name,
        got,
        &format!("{:.1} % of its speed, claim 85:", speed * 100.0),
        Some(speed >= 0.85),
    );
}

fn sign(rounds: Rounds) {
    const COUNT: usize = 500;
    let (key, chain, transactions) = (key(), ChainId::HIVE, transactions(COUNT));
    let raw = raw_key(&key);
    let digests: Vec<_> = transactions.iter().map(|t| t.digest(&chain, Pack::Legacy)).collect();
    let attempts = attempts(&digests, &raw);
    let sign = |transaction: Transaction| transaction.sign(&[&key], &chain, SignAlgorithm::Dhive);
    let ours = || {
        let all = transactions.clone();
        time(|| all.into_iter().map(sign).collect::<Vec<_>>())
    };
    let peer = || {
        time(|| {
            for attempt in &attempts {
                black_box(attempt.run(&raw));
            }
        })
    };
    let got = compare(rounds, ours, peer);
    let claim = format!("{} attempts, at most 1.1:", attempts.len());
    report("sign 500 custom_json / libsecp256k1", got, &claim, Some(got.ratio <= 1.1));
    recover(rounds, &digests, &key);
    serialise(rounds, &transactions);
}

fn recover(rounds: Rounds, digests: &[[u8; 32]], key: &PrivateKey) {
    let sign = |digest| RecoverableSignature::sign(digest, key, SignAlgorithm::Dhive);
    let signatures: Vec<_> = digests.iter().map(|digest| (digest, sign(digest))).collect();
    let raw: Vec<_> = signatures.iter().map(|(digest, signed)| to_raw(digest, signed)).collect();
    let ours = || {
        time(|| {
            for (digest, signature) in &signatures {
                black_box(signature.recover(digest, RecoverRule::Hived).expect("it was signed"));
            }
        })
    };
    let peer = || {
        time(|| {
            for (message, signature) in &raw {
                black_box(signature.recover_ecdsa(*message).expect("it was signed"));
            }
        })
    };
    let got = compare(rounds, ours, peer);
    report("recover 500 keys / libsecp256k1", got, "at most 1.05:", Some(got.ratio <= 1.05));
}

fn serialise(rounds: Rounds, transactions: &[Transaction]) {
    let bytes: Vec<_> = transactions.iter().map(|t| t.to_bytes(Pack::Legacy)).collect();
    let ours = || {
        time(|| {
            for transaction in transactions {
                black_box(transaction.id(Pack::Legacy));
            }
        })
    };
    let peer = || {
        time(|| {
            for bytes in &bytes {
                black_box(Sha256::digest(bytes));
            }
        })
    };
    let got = compare(rounds, ours, peer);
    let each = got.ours / u32::try_from(transactions.len()).expect("small");
    let claim = format!("{each:.2?} each, claim 2 µs:");
    let holds = each < Duration::from_micros(2);
    report("serialise and id 500 custom_json / sha2", got, &claim, Some(holds));
}

/// Blocks without operations of ours: headers, ids and links checked, transactions passed over.
fn hive_scan(rounds: Rounds) {
    let reader = BlockReader::new(DEFAULT_CUSTOM_JSON_ID, KeyPrefix::STM);
    for (name, transactions) in [("23 kB", 40), ("56 kB", 98), ("112 kB", 195)] {
        let page = blocks::of_others(100, transactions);
        let finder = Finder::new(DEFAULT_CUSTOM_JSON_ID);
        let ours =
            || time(|| reader.read(black_box(&page), BlockAnswer::BlockRange).expect("right"));
        let got = compare(rounds, ours, || time(|| finder.find(black_box(&page))));
        let name = format!("hive, scan blocks of {name} / memmem");
        report_rate(&name, got, page.len(), (1e10, "B"));
    }
}

/// Blocks full of pushes: read, their transactions proven by the Merkle root of the header, and applied.
fn hive_blocks(rounds: Rounds) {
    let (configures, pushes) = (day::configures(100), day::pushes(100, 100));
    let page = blocks::of_ours(&pushes, 100);
    let reader = BlockReader::new(DEFAULT_CUSTOM_JSON_ID, KeyPrefix::STM);
    let apply = |read: &dyn Fn() -> Vec<Block>| {
        let mut index = prepared(&configures);
        time(|| apply_blocks(&mut index, &read()))
    };
    let ours = || apply(&|| reader.read(&page, BlockAnswer::BlockRange).expect("right"));
    let tree = || {
        let value: Value = serde_json::from_slice(&page).expect("it is JSON");
        let blocks = extract_blocks(&value, BlockAnswer::BlockRange, DEFAULT_CUSTOM_JSON_ID);
        blocks.expect("right").iter().map(ExtractedBlock::to_block).collect()
    };
    let got = compare(rounds, ours, || apply(&tree));
    report_rate("hive, read and apply pushes / Value", got, page.len(), (4e8, "B"));
}
