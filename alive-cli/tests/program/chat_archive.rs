//! `alive chat archive` and `alive chat replay` of long chats: through files, storages and gateways, in bounded memory.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
    process::{Child, Command, Output},
    thread,
    time::Duration,
};

use alive_chat::{ArchiveWriter, Family, KeySet, Message, Moment, Networks, StreamChat};
use alive_core::{Network, backend::SignatureScheme as _};
use alive_hive::{
    GraphenePlain, PrivateKey, RecoverableSignature, Role, SignAlgorithm, is_account_name,
};

use crate::{
    chat::Setting,
    support::{Running, alive, stdout},
};

const CHAT: &str = "hive/alice/launch";
/// When the first message of these was signed, in milliseconds since 1970.
const BEGIN_MS: f64 = 1_700_000_000_000.0;
/// What the program may take, whatever the length of the chat. Holding 300,000 messages takes several times as much.
const MOST_KIB: u64 = 120 << 10;

fn chat() -> StreamChat {
    let hive = Family::new(Network::hive(), GraphenePlain, is_account_name);
    StreamChat::new(Networks::new([hive]).unwrap(), CHAT.parse().unwrap()).unwrap()
}

fn key(account: &str) -> PrivateKey {
    PrivateKey::from_password(account, Role::Posting, account).unwrap()
}

/// The n-th message of an account, three in each millisecond.
fn signed(chat: &StreamChat, account: &str, key: &PrivateKey, n: u32) -> Message {
    let sender = chat.networks().account("hive", account).unwrap();
    let time = Moment::EPOCH.after_ms(BEGIN_MS + f64::from(n / 3));
    let text = format!("message {n} of somebody who has something to say");
    let digest = GraphenePlain.digest(chat.message_text(&sender, time, &text).as_bytes());
    let s = RecoverableSignature::sign(&digest, key, SignAlgorithm::Dhive);
    let json = format!(r#"{{"u":"{account}","n":"hive","s":"{s}","t":{time},"m":"{text}"}}"#);
    Message::from_json(chat.networks(), &json).unwrap()
}

/// A long chat of the streamer, signed on every core.
fn long(chat: &StreamChat, count: u32) -> Vec<Message> {
    let key = key("alice");
    let part = |from: u32, to: u32| -> Vec<_> {
        (from..to).map(|n| signed(chat, "alice", &key, n)).collect()
    };
    thread::scope(|scope| {
        let first = scope.spawn(|| part(0, count / 2));
        let second = part(count / 2, count);
        first.join().unwrap().into_iter().chain(second).collect()
    })
}

/// The archive of these, by the library.
fn written(chat: &StreamChat, mut messages: Vec<Message>, to: &Path) {
    messages.sort_by_cached_key(|message| (message.time(), chat.digest(message).unwrap()));
    let keys: KeySet = [key("alice").public_key().into()].into_iter().collect();
    let mut writer = ArchiveWriter::new(chat.clone(), BufWriter::new(File::create(to).unwrap()));
    for chunk in messages.chunks(4096) {
        for recovered in chat.recover_all(chunk.to_vec(), thread::available_parallelism().unwrap())
        {
            writer.push(&recovered.unwrap().allow(&keys).unwrap()).unwrap();
        }
    }
    writer.finish().unwrap();
}

/// A file with messages in no order: every `step`-th from `from` on, the last ones first.
fn lines(messages: &[Message], from: usize, step: usize, to: &Path) {
    let mut file = BufWriter::new(File::create(to).unwrap());
    let some: Vec<_> = messages.iter().skip(from).step_by(step).collect();
    for message in some.iter().rev() {
        writeln!(file, "{message}").unwrap();
    }
    file.flush().unwrap();
}

fn good(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}{}", stdout(output));
    stdout(output)
}

/// The most memory that a process has had so far, in KiB, by the kernel; none when it has ended.
fn peak_kib(child: &Child) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// Runs a program to its end, its output in a file; what it said. It must not take more memory than it may.
#[expect(clippy::print_stderr, reason = "a figure is of use only where it is read")]
fn watched(setting: &Setting, what: &str, mut command: Command) -> String {
    let (out, errors) = (setting.path("stdout"), setting.path("stderr"));
    command.stdout(File::create(&out).unwrap()).stderr(File::create(&errors).unwrap());
    let mut child = command.spawn().unwrap();
    let mut most = 0;
    let status = loop {
        most = most.max(peak_kib(&child).unwrap_or(0));
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        thread::sleep(Duration::from_millis(5));
    };
    assert!(status.success(), "{}", std::fs::read_to_string(errors).unwrap());
    let said = std::fs::read_to_string(out).unwrap();
    let last = said.lines().last().unwrap_or_default();
    eprintln!("{what}: at most {most} KiB; {last}");
    assert!(most < MOST_KIB, "{what}: {most} KiB");
    said
}

#[test]
#[ignore = "signs 300,000 messages, which takes a minute or more"]
fn a_chat_of_any_length_is_archived_and_replayed_in_bounded_memory() {
    const COUNT: u32 = 300_000;
    let setting = Setting::new();
    let chat = chat();
    let messages = long(&chat, COUNT);
    let want = setting.path("want.txt");
    lines(&messages, 0, 2, &setting.path("even.txt"));
    lines(&messages, 1, 2, &setting.path("odd.txt"));
    lines(&messages, 0, 3, &setting.path("again.txt"));
    written(&chat, messages, &want);

    let archive = ["chat", "archive", CHAT, "--live-peer", &setting.relay, "--out", "got.txt"];
    let with = ["--with", "even.txt", "--with", "odd.txt", "--with", "again.txt"];
    let said =
        watched(&setting, "archive", setting.signed("alice", &[&archive[..], &with].concat()));
    assert!(said.contains(&format!("{COUNT} messages, ")) && said.contains("named in"), "{said}");
    let same = std::fs::read(setting.path("got.txt")).unwrap() == std::fs::read(&want).unwrap();
    assert!(same, "the archive is not that of the library's writer");

    let verified = format!("{COUNT} messages verified, 0 refused");
    let replay = ["chat", "replay", CHAT];
    let store = "alive-streamer-data/store";
    let said = watched(
        &setting,
        "replay from a store",
        setting.chained(&[&replay[..], &["--store", store]].concat()),
    );
    assert!(said.ends_with(&format!("{verified}\n")), "{}", said.len());

    let path = setting.path(store);
    let serve = ["store", "serve", "--listen", "127.0.0.1:0", "--store", path.to_str().unwrap()];
    let mut server = Running::start(alive(&serve));
    let gateway = server.line("listening on ");
    let args = [&replay[..], &["--gateway", &gateway]].concat();
    let said = watched(&setting, "replay from a gateway", setting.chained(&args));
    assert!(said.ends_with(&format!("{verified}\n")), "{}", said.len());
}

#[test]
fn an_archive_goes_to_an_ipfs_node_and_comes_back_block_by_block() {
    const COUNT: u32 = 1500;
    let setting = Setting::new();
    let chat = chat();
    let messages = long(&chat, COUNT);
    lines(&messages, 0, 1, &setting.path("log.txt"));
    // Nobody has let bob in, and what mallory signs for alice is nobody's.
    let (bob, mallory) = (key("bob"), key("mallory"));
    let forged = signed(&chat, "alice", &mallory, COUNT);
    lines(&[signed(&chat, "bob", &bob, 5), forged], 0, 1, &setting.path("more.txt"));
    let want = setting.path("want.txt");
    written(&chat, messages, &want);

    let path = setting.path("node");
    let serve = ["store", "serve", "--listen", "127.0.0.1:0", "--store", path.to_str().unwrap()];
    let mut node = Running::start(alive(&serve));
    let url = node.line("listening on ");
    let archive = ["chat", "archive", CHAT, "--live-peer", &setting.relay, "--out", "got.txt"];
    let with = ["--with", "log.txt", "--with", "more.txt", "--with", "log.txt"];
    let kubo = ["--storage", "kubo", "--storage-url", &url];
    let args = [&archive[..], &with, &kubo].concat();
    let said = loop {
        let output = setting.signed("alice", &args).output().unwrap();
        // The chain takes one edit of a post in three seconds.
        if !String::from_utf8_lossy(&output.stderr).contains("HIVE_MIN_COMMENT_EDIT_INTERVAL") {
            break good(&output);
        }
    };
    assert!(said.contains("1500 messages, ") && said.contains("1 without a good"), "{said}");
    assert!(said.contains("named in block"), "{said}");
    let got = setting.path("got.txt");
    assert_eq!(std::fs::read(&got).unwrap(), std::fs::read(&want).unwrap());
    assert!(std::fs::metadata(&got).unwrap().len() > 256 << 10, "several blocks");
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&got).unwrap().permissions().mode();
        assert_eq!(mode & 0o400, 0o400);
        let plain = File::create(setting.path("plain")).unwrap();
        assert_eq!(mode, plain.metadata().unwrap().permissions().mode(), "as any file is");
    }
    let left = std::fs::read_dir(setting.path(".")).unwrap();
    let left: Vec<_> = left.map(|file| file.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_str().unwrap().starts_with('.')), "{left:?}");

    let replay = |more: &[&str]| {
        setting.chained(&[&["chat", "replay", CHAT][..], more].concat()).output().unwrap()
    };
    let replayed = good(&replay(&["--gateway", &url]));
    assert!(replayed.ends_with("1500 messages verified, 0 refused\n"), "{replayed}");
    assert!(replayed.contains("message 1499 of somebody"), "{replayed}");
    let large = replay(&["--gateway", &url, "--max-bytes", "300000"]);
    let why = String::from_utf8_lossy(&large.stderr).into_owned();
    assert!(!large.status.success() && why.contains("300000"), "{why}");
    assert!(!stdout(&large).contains("message"), "nothing of it is shown");

    // The blocks are gone, or others.
    node.kill();
    let gone = replay(&["--gateway", &url]);
    assert!(!gone.status.success());
}

#[test]
fn what_cannot_be_archived_is_said() {
    let setting = Setting::new();
    let chat = chat();
    let messages = long(&chat, 12);
    lines(&messages, 0, 1, &setting.path("log.txt"));
    std::fs::write(setting.path("cut.txt"), messages[0].to_string()).unwrap();
    std::fs::write(setting.path("other.txt"), format!("{}\nhello\n", messages[0])).unwrap();
    let archive = |more: &[&str]| {
        let args = ["chat", "archive", CHAT, "--live-peer", &setting.relay, "--local"];
        setting
            .signed("alice", &[&args[..], &["--out", "got.txt"], more].concat())
            .output()
            .unwrap()
    };
    for (args, words) in [
        (&["--with", "log.txt", "--max-messages", "11"][..], "more than 11 messages"),
        (&["--with", "none.txt"], "none.txt"),
        (&["--with", "cut.txt"], "line 1: it is cut"),
        (&["--with", "other.txt"], "line 2"),
        (&[], "no messages"),
    ] {
        let output = archive(args);
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && why.contains(words), "{args:?}: {why}");
        assert!(!setting.path("got.txt").exists(), "{args:?}: nothing half-written is left");
    }
    let said = good(&archive(&["--with", "log.txt", "--max-messages", "12"]));
    assert!(said.contains("12 messages"), "{said}");
}
