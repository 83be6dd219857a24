//! Claim: 2,000 visitors of a page hear the chat of one node, 50 messages a second, under 100 ms at the 99th percentile on
//! loopback.
//!
//! The node is a process of its own, so that its memory and its processor time are nothing but its own. Messages are posted
//! to it as a browser does, and come back over server-sent events.
//!
//! `cargo test --release -p alive-node --all-features --test chat_viewers -- --ignored --nocapture`
#![cfg(test)]
#![cfg(feature = "chat")]

#[path = "../node/chatters.rs"]
#[expect(dead_code, reason = "the tests of the routes need more of it")]
mod chatters;
#[path = "../made/process.rs"]
mod process;
mod served;
#[path = "../node/support.rs"]
#[expect(dead_code, reason = "the tests of the lists need more of it")]
mod support;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use process::Process;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    sync::Semaphore,
    task::JoinSet,
    time::MissedTickBehavior,
};

use chatters::Chatters;
use support::stream_id;

/// Without optimisation fewer of them show that everybody hears everything.
const VISITORS: usize = if cfg!(debug_assertions) { 100 } else { 2000 };
const PER_SEC: u32 = 50;
const SECONDS: u32 = if cfg!(debug_assertions) { 3 } else { 10 };
/// What a visitor may take of the node's memory, in KiB: buffers of his connection, and no copy of the messages.
const MOST_KIB_EACH: u64 = 64;

/// Who speaks: as many as there are messages a second, so that each speaks once a second.
fn speaker(n: u32) -> String {
    format!("viewer{}", n % PER_SEC)
}

#[expect(clippy::print_stderr, reason = "a figure is of use only where it is read")]
fn say(figure: &str) {
    eprintln!("{figure}");
}

/// Posts a message and waits for the answer.
async fn post(address: SocketAddr, message: String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = "POST /v1/streams/alice/s/chat HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
    let request = format!("{head}Content-Length: {}\r\n\r\n{message}", message.len());
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
}

/// Listens until all was heard, and tells how long each message took, in microseconds.
async fn listen(address: SocketAddr, start: Instant, heard: Arc<Semaphore>) -> Vec<u32> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = "GET /v1/streams/alice/s/chat/events HTTP/1.0\r\nHost: x\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(stream).lines();
    let expected = usize::try_from(PER_SEC * SECONDS).unwrap();
    let mut own = Vec::with_capacity(expected);
    let (mut event, mut is_begun) = (String::new(), false);
    while own.len() < expected {
        let line = lines.next_line().await.unwrap().expect("a visitor was too slow");
        if let Some(name) = line.strip_prefix("event: ") {
            name.clone_into(&mut event);
        } else if let Some(data) = line.strip_prefix("data: ") {
            match &*event {
                "chat" if !is_begun => {
                    assert!(data.ends_with("\"messages\":[]}"), "{data}");
                    is_begun = true;
                    heard.add_permits(1);
                }
                "show" => {
                    let sent = data.split("\"m\":\"").nth(1).unwrap().trim_end_matches("\"}");
                    let sent = Duration::from_micros(sent.parse().unwrap());
                    let took = start.elapsed().checked_sub(sent).unwrap();
                    own.push(u32::try_from(took.as_micros()).unwrap());
                }
                _ => assert!(!is_begun, "{event}: {data}"),
            }
        }
    }
    own
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes half a minute and 4,000 sockets; figures only in release"]
async fn two_thousand_visitors_hear_fifty_messages_a_second() {
    let (node, _) = Process::start("served::is_a_node_with_a_chat");
    let address = node.address();
    let before_kib = node.resident_kib();
    let (start, joined) = (Instant::now(), Arc::new(Semaphore::new(0)));
    let all: Arc<Mutex<Vec<u32>>> = Arc::default();
    let mut visitors = JoinSet::new();
    for _ in 0..VISITORS {
        let (all, joined) = (Arc::clone(&all), Arc::clone(&joined));
        visitors.spawn(async move {
            let own = listen(address, start, joined).await;
            all.lock().unwrap().extend(own);
        });
    }
    let everybody = joined.acquire_many(VISITORS.try_into().unwrap()).await.unwrap();
    everybody.forget();
    let (with_visitors_kib, cpu, from) = (node.resident_kib(), node.cpu_seconds(), Instant::now());

    let chatters = Chatters::new(stream_id());
    let mut tick = tokio::time::interval(Duration::from_secs(1) / PER_SEC);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut posts = JoinSet::new();
    for n in 0..PER_SEC * SECONDS {
        tick.tick().await;
        let sent = start.elapsed().as_micros().to_string();
        let message = chatters.message(&speaker(n), &sent).to_string();
        posts.spawn(post(address, message));
    }
    while let Some(posted) = posts.join_next().await {
        posted.unwrap();
    }
    while let Some(visitor) = visitors.join_next().await {
        visitor.unwrap();
    }
    let (wall, cpu) = (from.elapsed().as_secs_f64(), node.cpu_seconds() - cpu);
    let most_kib = node.peak_kib();
    let mut all = all.lock().unwrap().clone();
    let expected = usize::try_from(PER_SEC * SECONDS).unwrap();
    assert_eq!(all.len(), VISITORS * expected, "everybody heard everything");
    all.sort_unstable();
    let at = |per_mille: usize| f64::from(all[(all.len() - 1) * per_mille / 1000]) / 1000.0;
    say(&format!(
        "{VISITORS} visitors over server-sent events, {PER_SEC} messages/s, {} deliveries in {wall:.1} s, from posting to \
         hearing: p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms; the node: {:.2} cores, {before_kib} KiB before, \
         {with_visitors_kib} KiB with all visitors, {most_kib} KiB at most",
        all.len(),
        at(500),
        at(990),
        at(1000),
        cpu / wall,
    ));
    let limit = before_kib + MOST_KIB_EACH * u64::try_from(VISITORS).unwrap() + (16 << 10);
    assert!(most_kib < limit, "{most_kib} KiB, {limit} allowed");
    if !cfg!(debug_assertions) {
        assert!(at(990) < 100.0, "p99 {} ms", at(990));
    }
}
