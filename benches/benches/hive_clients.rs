//! Signing, recovering and serialising beside the clients that others wrote: hive-tx, dhive, wax with beekeeper, and beem.
//!
//! Each does the same work on the same transactions in a process of its own, by turns with ours. Prints a table of
//! times and ratios; `--test` runs everything once and shortly. Needs Node.js with npm, and Python 3 with venv.
#![expect(clippy::expect_used, reason = "a bench that cannot run should say so and stop")]
#![expect(clippy::panic, clippy::unwrap_used, reason = "the same, in what the tests share")]
#![expect(clippy::print_stdout, reason = "its figures are its output")]

use std::{hint::black_box, path::Path, process::Command, time::Instant};

use alive_hive::{
    ChainId, JsonForm, KeyPrefix, Pack, PrivateKey, RecoverRule, RecoverableSignature,
    SignAlgorithm, Transaction,
};
use benches::transactions::{key, transactions};
use serde_json::{Value, json};

#[path = "../../alive-hive/tests/real_clients/client.rs"]
mod client;
#[path = "../../alive-hive/tests/real_clients/packages.rs"]
mod packages;

use client::Client;
use packages::Packages;

const CLIENTS: [Client; 4] = [Client::Dhive, Client::HiveTx, Client::Wax, Client::Beem];
/// Different transactions; a batch takes all of them at least once. Python needs milliseconds for each.
const SAMPLES: usize = 32;

/// How long and how often to measure. The median of the rounds counts, in which ours and the peer stand side by side.
#[derive(Clone, Copy)]
struct Effort {
    rounds: usize,
    batches: usize,
    millis: u64,
}

/// A transaction, its digest and a signature of it.
struct Sample {
    transaction: Transaction,
    digest: [u8; 32],
    signature: RecoverableSignature,
}

fn main() {
    let is_test = std::env::args().any(|argument| argument == "--test");
    let effort = if is_test {
        Effort { rounds: 1, batches: 1, millis: 1 }
    } else {
        build_native_addon();
        Effort { rounds: 5, batches: 8, millis: 40 }
    };
    let key = key();
    let samples: Vec<Sample> = transactions(SAMPLES).into_iter().map(|t| sample(t, &key)).collect();
    let lines = CLIENTS.map(|client| compare(client, &samples, &key, effort));
    print(&lines);
}

/// dhive signs with a native add-on where one can be built, else several times slower. It is compared at its best.
fn build_native_addon() {
    let tests = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../alive-hive/tests"));
    let packages = Packages::ready(tests, Path::new(env!("CARGO_TARGET_TMPDIR")));
    let mut npm = Command::new("npm");
    npm.args(["rebuild", "secp256k1", "--ignore-scripts=false"]).current_dir(&packages.js);
    // Whether it worked shows in the table.
    drop(npm.output());
}

fn sample(transaction: Transaction, key: &PrivateKey) -> Sample {
    let digest = transaction.digest(&ChainId::HIVE, Pack::Legacy);
    let signature = RecoverableSignature::sign(&digest, key, SignAlgorithm::Dhive);
    Sample { transaction, digest, signature }
}

fn job(samples: &[Sample], key: &PrivateKey, effort: Effort) -> Value {
    let json = |sample: &Sample| {
        // wax asks for the list of signatures, even an empty one.
        let unsigned = sample.transaction.clone().sign(&[], &ChainId::HIVE, SignAlgorithm::Dhive);
        let transaction = |form| unsigned.to_json(form, &KeyPrefix::STM);
        json!({
            "legacy": transaction(JsonForm::Legacy),
            "hf26": transaction(JsonForm::Hf26),
            "digest": sample.digest.map(|byte| format!("{byte:02x}")).concat(),
            "signature": sample.signature,
        })
    };
    json!({
        "samples": samples.iter().map(json).collect::<Vec<_>>(),
        "wif": key.to_wif().as_str(),
        "chainId": ChainId::HIVE,
        "prefix": KeyPrefix::STM,
        "batches": effort.batches,
        "millis": effort.millis,
    })
}

/// Nanoseconds that each piece of work takes.
#[derive(Clone, Copy)]
struct Times {
    sign: f64,
    recover: f64,
    id: f64,
}

/// The columns of the table.
const COLUMNS: [fn(&Times) -> f64; 3] =
    [|times| times.sign, |times| times.recover, |times| times.id];

/// A line of the table: what ours and a client took in each round.
struct Line {
    name: String,
    rounds: Vec<(Times, Times)>,
}

/// Runs a client and ours by turns.
fn compare(client: Client, samples: &[Sample], key: &PrivateKey, effort: Effort) -> Line {
    let job = job(samples, key, effort);
    let mut line = Line { name: String::new(), rounds: Vec::new() };
    for _ in 0..effort.rounds {
        let ours = ours(samples, key, effort);
        let answer = client.run("bench", &job);
        let took = |work: &str| answer.get(work).and_then(Value::as_f64).expect("a number");
        let theirs = Times { sign: took("sign"), recover: took("recover"), id: took("id") };
        let version = answer.get("version").and_then(Value::as_str).expect("a text");
        line.name = format!("{client:?}, {version}");
        line.rounds.push((ours, theirs));
    }
    line
}

fn ours(samples: &[Sample], key: &PrivateKey, effort: Effort) -> Times {
    let sign = |sample: &Sample| {
        black_box(RecoverableSignature::sign(&sample.digest, key, SignAlgorithm::Dhive));
    };
    let recover = |sample: &Sample| {
        let recovered = sample.signature.recover(&sample.digest, RecoverRule::Hived);
        black_box(recovered.expect("it was signed"));
    };
    let id = |sample: &Sample| {
        black_box(sample.transaction.id(Pack::Legacy));
    };
    Times {
        sign: nanoseconds(samples, effort, sign),
        recover: nanoseconds(samples, effort, recover),
        id: nanoseconds(samples, effort, id),
    }
}

/// As the programs of the clients measure: the fastest batch counts, being the one that other work disturbed least.
fn nanoseconds(samples: &[Sample], effort: Effort, work: impl Fn(&Sample)) -> f64 {
    let batch = || {
        let (start, mut count) = (Instant::now(), 0_u32);
        while count == 0 || start.elapsed().as_millis() < effort.millis.into() {
            samples.iter().for_each(&work);
            count += 1;
        }
        let all = f64::from(count) * f64::from(u32::try_from(samples.len()).expect("few"));
        start.elapsed().as_secs_f64() * 1e9 / all
    };
    batch();
    (0..effort.batches).map(|_| batch()).fold(f64::INFINITY, f64::min)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().expect("one value at least")
}

fn print(lines: &[Line]) {
    println!("| µs (times ours) | sign a digest | recover a key | serialise and id |");
    println!("|---|---|---|---|");
    let all = || lines.iter().flat_map(|line| &line.rounds);
    let cells = COLUMNS.map(|of| format!("{:.3}", median(all().map(|(ours, _)| of(ours))) / 1e3));
    println!("| alive-hive | {} |", cells.join(" | "));
    for Line { name, rounds } in lines {
        let cells = COLUMNS.map(|of| {
            let took = median(rounds.iter().map(|(_, theirs)| of(theirs))) / 1e3;
            let ratio = median(rounds.iter().map(|(ours, theirs)| of(theirs) / of(ours)));
            format!("{took:.1} ({ratio:.1})")
        });
        println!("| {name} | {} |", cells.join(" | "));
    }
}
