//! Claim: 2,000 viewers of one chat on one node, 50 messages a second, under 100 ms at the 99th percentile on loopback.
#![cfg(test)]
#![cfg(all(feature = "session", feature = "testing"))]

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use alive_chat::{
    ChatSession, ChatTransport as _, Entry, Family, Item, MemoryChat, Message, Moment, Networks,
    Peer, Rule, SessionBackends, SessionConfig, SessionEvent, SessionUpdate, SharedChatTransport,
    StreamChat, system_clock,
};
use alive_core::{
    LiveKey, Network,
    backend::{AccountAuthority, Authority, SharedAccountKeys, SignatureScheme as _},
    memory::MemoryAccountKeys,
};
use alive_hive::{GraphenePlain, PrivateKey, RecoverableSignature, SignAlgorithm, is_account_name};
use futures_util::StreamExt as _;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::MissedTickBehavior,
};

/// Without optimisation fewer of them show that everybody reads everything.
const VIEWERS: usize = if cfg!(debug_assertions) { 100 } else { 2000 };
const PER_SEC: u32 = 50;
const SECONDS: u32 = if cfg!(debug_assertions) { 3 } else { 10 };

#[expect(clippy::print_stderr, reason = "a figure is of use only where it is read")]
fn say(figure: &str) {
    eprintln!("{figure}");
}

/// A line of `/proc/self/status`, in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// The processor time of this process so far, in seconds.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: f64 = [11, 12].iter().map(|n| fields[*n].parse::<f64>().unwrap()).sum();
    ticks / 100.0
}

fn key(n: u32) -> PrivateKey {
    PrivateKey::from_password(&format!("viewer{n}"), alive_hive::Role::Posting, "").unwrap()
}

/// Writes every message to a viewer as a line.
async fn serve(mut viewer: TcpStream, session: ChatSession) {
    let Ok(mut joined) = session.join().await else { return };
    while let Some(update) = joined.events.next().await {
        let SessionUpdate::Event(event) = update else { panic!("a viewer was too slow") };
        if let SessionEvent::Show(message) = &*event {
            let line = format!("{}\n", message.signed());
            if viewer.write_all(line.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

/// A chat whose history has been read, and in which [`PER_SEC`] accounts may write.
struct Setting {
    chat: StreamChat,
    memory: MemoryChat,
    session: ChatSession,
}

async fn begin() -> Setting {
    let networks = Networks::new([Family::new(Network::hive(), GraphenePlain, is_account_name)]);
    let networks = networks.unwrap();
    let stream: alive_core::StreamId = "hive/techcoderx/live-1".parse().unwrap();
    let chat = StreamChat::new(networks.clone(), stream.clone()).unwrap();
    let (memory, chain) = (MemoryChat::new(system_clock), MemoryAccountKeys::new(Network::hive()));
    let streamer: LiveKey = "streamers.key".parse().unwrap();
    let own = memory.as_user(Peer(1), Some(streamer.clone()));
    for n in 0..PER_SEC {
        let account = networks.account("hive", &format!("viewer{n}")).unwrap();
        let keys = vec![(key(n).public_key().into(), 1)];
        let posting = Authority { threshold: 1, keys, accounts: Vec::new() };
        let authority = AccountAuthority { posting, ..AccountAuthority::default() };
        chain.set(account.name().clone(), authority);
        let (rule, state) = (Rule::Participant(account), system_clock());
        let entry = Entry { author: streamer.clone(), rule, value: 1.0, state };
        own.publish(&stream, Item::Entry(entry)).await.unwrap();
    }
    let backends = SessionBackends::new(SharedChatTransport::new(memory.clone()))
        .keys(SharedAccountKeys::new(chain));
    let session = ChatSession::start(chat.clone(), streamer, backends, SessionConfig::default());
    let mut joined = session.join().await.unwrap();
    while !joined.is_caught_up {
        if let Some(SessionUpdate::Event(event)) = joined.events.next().await {
            joined.is_caught_up = matches!(*event, SessionEvent::CaughtUp);
        }
    }
    Setting { chat, memory, session }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes half a minute and 4,000 sockets; figures only in release"]
async fn two_thousand_viewers_read_fifty_messages_a_second() {
    let Setting { chat, memory, session } = begin().await;
    let (networks, stream) = (chat.networks().clone(), chat.id().clone());

    let before_kib = resident_kib();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn({
        let session = session.clone();
        async move {
            let mut viewers = JoinSet::new();
            while let Ok((viewer, _)) = listener.accept().await {
                viewer.set_nodelay(true).unwrap();
                viewers.spawn(serve(viewer, session.clone()));
            }
        }
    });
    let start = Instant::now();
    let latencies: Arc<Mutex<Vec<u32>>> = Arc::default();
    let expected = usize::try_from(PER_SEC * SECONDS).unwrap();
    let mut viewers = JoinSet::new();
    for _ in 0..VIEWERS {
        let connection = TcpStream::connect(address).await.unwrap();
        let latencies = Arc::clone(&latencies);
        viewers.spawn(async move {
            let mut lines = BufReader::new(connection).lines();
            let mut own = Vec::with_capacity(expected);
            while own.len() < expected {
                let line = lines.next_line().await.unwrap().unwrap();
                let sent = line.split("\"m\":\"").nth(1).unwrap().trim_end_matches("\"}");
                let sent = Duration::from_micros(sent.parse().unwrap());
                let took = start.elapsed().checked_sub(sent).unwrap();
                own.push(u32::try_from(took.as_micros()).unwrap());
            }
            latencies.lock().unwrap().extend(own);
        });
    }
    // Each viewer has been joined by the time that a while has passed in which nothing came.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (with_viewers_kib, cpu, from) = (resident_kib(), cpu_seconds(), Instant::now());
    let mut tick = tokio::time::interval(Duration::from_secs(1) / PER_SEC);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let keys: Vec<_> = (0..PER_SEC).map(key).collect();
    for n in 0..PER_SEC * SECONDS {
        tick.tick().await;
        let speaker = n % PER_SEC;
        let account = networks.account("hive", &format!("viewer{speaker}")).unwrap();
        let time = Moment::from_ms(system_clock().as_ms()).unwrap();
        let text = start.elapsed().as_micros().to_string();
        let digest = GraphenePlain.digest(chat.message_text(&account, time, &text).as_bytes());
        let key = &keys[usize::try_from(speaker).unwrap()];
        let s = RecoverableSignature::sign(&digest, key, SignAlgorithm::Dhive);
        let json =
            format!(r#"{{"u":"viewer{speaker}","n":"hive","s":"{s}","t":{time},"m":"{text}"}}"#);
        let message = Message::from_json(&networks, &json).unwrap();
        memory.publish(&stream, Item::Message(message)).await.unwrap();
    }
    while let Some(viewer) = viewers.join_next().await {
        viewer.unwrap();
    }
    let (wall, cpu) = (from.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    server.abort();
    let mut all = latencies.lock().unwrap().clone();
    assert_eq!(all.len(), VIEWERS * expected, "everybody read everything");
    all.sort_unstable();
    let at = |per_mille: usize| f64::from(all[(all.len() - 1) * per_mille / 1000]) / 1000.0;
    say(&format!(
        "{VIEWERS} viewers, {PER_SEC} messages/s, {} deliveries in {wall:.1} s: p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms; \
         {:.2} cores for node and viewers together; {} KiB of memory for {VIEWERS} viewers, both ends",
        all.len(),
        at(500),
        at(990),
        at(1000),
        cpu / wall,
        with_viewers_kib.saturating_sub(before_kib),
    ));
    if !cfg!(debug_assertions) {
        assert!(at(990) < 100.0, "p99 {} ms", at(990));
    }
}
