//! Speed and memory of a relay, beside npm's `gun` on the same work. Prints a table; run it with `--release --nocapture`.
#![cfg(test)]
#![cfg(all(feature = "relay", target_os = "linux", not(debug_assertions)))]
#![expect(clippy::print_stdout, reason = "the figures are what it is run for")]

#[path = "../real_peers/packages.rs"]
mod packages;

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use alive_db::gun::{Anyone, DiskGraph, IntakeLimits, Peer, PeerConfig, Relay, RelayLimits};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{net::TcpListener, sync::oneshot, task::JoinSet, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};

const DEADLINE: Duration = Duration::from_mins(2);
/// Set for the process that is measured: the file of its graph, or nothing for one in memory alone.
const RELAY: &str = "ALIVE_DB_LOAD_RELAY";
const SUBSCRIBERS: usize = 200;
/// Of each, so many messages go to every subscriber: as fast as they can, or at a steady pace.
const PUTS: usize = 6_000;
const PACED: usize = 1_000;
const PACE: Duration = Duration::from_millis(4);
const IDLE: usize = 10_000;

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

/// A relay in a process of its own.
struct Process {
    child: Child,
    port: u64,
}

impl Process {
    /// Ours, with the graph in this file or in memory alone.
    fn ours(file: Option<&Path>) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["relay_process", "--exact", "--nocapture", "--test-threads", "1"]);
        Self::start(command.env(RELAY, file.unwrap_or(Path::new(""))))
    }

    fn npm(folder: &Path) -> Self {
        let mut command = Command::new("node");
        command.args(["peer.mjs", "relay"]).arg(folder.join("data"));
        Self::start(
            command.current_dir(packages::ready()).stdin(Stdio::piped()).stderr(Stdio::null()),
        )
    }

    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.map_while(Result::ok).find_map(|line| {
            let (_, port) = line.split_once("\"port\":")?;
            port.trim_end_matches('}').parse().ok()
        });
        Self { child, port: port.unwrap() }
    }

    /// Time of processors spent so far.
    fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }

    /// Memory, in KiB: now, and the most so far.
    fn memory(&self) -> [u64; 2] {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        ["VmRSS:", "VmHWM:"].map(|name| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        })
    }

    async fn connect(&self) -> Socket {
        let config = WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(0);
        let url = format!("ws://127.0.0.1:{}/gun", self.port);
        connect_async_with_config(url, Some(config), true).await.unwrap().0
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// The relay that is measured; without its variable it does nothing.
#[tokio::test]
async fn relay_process() {
    let Some(file) = env::var_os(RELAY) else { return };
    let mut config =
        PeerConfig::default().intake(IntakeLimits::default().rate(1_000_000, 1_000_000));
    if !file.is_empty() {
        config = config.disk(DiskGraph::open(Path::new(&file)).unwrap());
    }
    let peer = Peer::start(config, Anyone).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let limits = RelayLimits::default().links_per_address(20_000);
    let relay = Relay::start(&peer, listener, limits).unwrap();
    println!("{{\"port\":{}}}", relay.address().port());
    std::future::pending::<()>().await;
}

/// Subscribers that have asked for a soul and been answered.
async fn subscribe(process: &Process, count: usize, soul: &str) -> Vec<Socket> {
    let mut sockets = Vec::new();
    for n in 0..count {
        let mut socket = process.connect().await;
        let get = format!(r##"{{"#":"{soul}g{n:06}","get":{{"#":"{soul}"}}}}"##);
        socket.send(Message::text(get)).await.unwrap();
        sockets.push(socket);
    }
    sockets
}

fn put(n: usize, soul: &str) -> String {
    let state = 1_600_000_000_000_u64;
    format!(
        r##"{{"#":"{soul}p{n:06}","put":{{"{soul}":{{"_":{{"#":"{soul}",">":{{"k{n}":{state}}}}},"k{n}":"~~ {n:0100}"}}}}}}"##
    )
}

/// What one relay has done, and what it took.
#[derive(Clone, Copy, Debug)]
struct Figures {
    /// Messages that reached a subscriber, for every second of the relay's processor time.
    per_core: f64,
    /// The same at a steady pace, where every message is a frame of its own.
    paced_per_core: f64,
    /// The most memory it had, in MiB.
    mib: f64,
}

/// Puts of one publisher until every subscriber has them all.
async fn fan_out(name: &str, process: &Process) -> Figures {
    let per_core = publish(process, "fan", PUTS, None).await;
    let paced_per_core = publish(process, "paced", PACED, Some(PACE)).await;
    let [_, most] = process.memory();
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let mib = most as f64 / 1024.0;
    println!("| {name} | {per_core:.0} | {paced_per_core:.0} | {mib:.1} |");
    Figures { per_core, paced_per_core, mib }
}

/// Deliveries per second of the relay's processor time.
async fn publish(process: &Process, soul: &str, puts: usize, pace: Option<Duration>) -> f64 {
    let mut publisher = process.connect().await;
    publisher.send(Message::text(put(puts, soul))).await.unwrap();
    let mut readers = JoinSet::new();
    let mut ready = Vec::new();
    for mut socket in subscribe(process, SUBSCRIBERS, soul).await {
        let (tell, told) = oneshot::channel();
        ready.push(told);
        readers.spawn(async move {
            let mut seen = 0;
            let mut tell = Some(tell);
            // One value was there before, and says that the relay knows the subscriber.
            while seen < puts + 1 {
                match socket.next().await.unwrap().unwrap() {
                    Message::Text(text) => seen += text.matches("~~").count(),
                    Message::Close(_) => panic!("dropped after {seen}"),
                    _ => {}
                }
                if seen > 0
                    && let Some(tell) = tell.take()
                {
                    tell.send(()).unwrap();
                }
            }
        });
    }
    for told in ready {
        timeout(DEADLINE, told).await.unwrap().unwrap();
    }
    let (mut sink, mut acks) = publisher.split();
    let reading = tokio::spawn(async move { while acks.next().await.is_some() {} });
    let cpu = process.cpu();
    let mut pace = pace.map(tokio::time::interval);
    for n in 0..puts {
        sink.feed(Message::text(put(n, soul))).await.unwrap();
        if let Some(pace) = &mut pace {
            sink.flush().await.unwrap();
            pace.tick().await;
        } else if n % 20 == 0 {
            sink.flush().await.unwrap();
        }
    }
    sink.flush().await.unwrap();
    timeout(DEADLINE, readers.join_all()).await.unwrap();
    let cpu = process.cpu().saturating_sub(cpu);
    reading.abort();
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let deliveries = (puts * SUBSCRIBERS) as f64;
    // The system counts hundredths of a second.
    deliveries / cpu.as_secs_f64().max(0.01)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Node.js, and measures"]
async fn a_relay_delivers_ten_times_what_npm_gun_does_at_a_quarter_of_its_memory() {
    let folder = tempfile::tempdir().unwrap();
    println!(
        "\n1 publisher, {SUBSCRIBERS} subscribers, {PUTS} messages at once, {PACED} at a steady pace"
    );
    println!(
        "| relay | messages to subscribers per second and core | at a steady pace | most memory, MiB |"
    );
    println!("|---|---|---|---|");
    let in_memory = fan_out("ours, in memory", &Process::ours(None)).await;
    let on_disk = Process::ours(Some(&folder.path().join("graph")));
    let on_disk = fan_out("ours, with its graph on disk", &on_disk).await;
    let npm = fan_out("npm gun, with its graph on disk", &Process::npm(folder.path())).await;
    for ours in [in_memory, on_disk] {
        println!(
            "{:.1} times as many, {:.1} at a steady pace, {:.3} of the memory",
            ours.per_core / npm.per_core,
            ours.paced_per_core / npm.paced_per_core,
            ours.mib / npm.mib,
        );
    }
    // Processor time and memory tell on a busy machine what they tell on an idle one.
    for ours in [in_memory, on_disk] {
        assert!(ours.per_core >= 10.0 * npm.per_core, "{ours:?} {npm:?}");
        assert!(ours.mib <= npm.mib / 4.0, "{ours:?} {npm:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures"]
async fn ten_thousand_idle_subscribers_fit_into_300_mib() {
    let process = Process::ours(None);
    let [before, _] = process.memory();
    let mut sockets = timeout(DEADLINE, subscribe(&process, IDLE, "idle")).await.unwrap();
    // Each has been greeted, and told that there is nothing: the relay has done all it had to.
    for socket in &mut sockets {
        while !said(socket, "\"@\"").await {}
    }
    let [idle, _] = process.memory();
    println!(
        "{IDLE} idle subscribers: {} MiB, {} bytes each",
        idle >> 10,
        (idle - before) * 1024 / IDLE as u64
    );
    assert!(idle < 300 << 10);
    // And they are alive: one value comes to all of them.
    let mut publisher = process.connect().await;
    publisher.send(Message::text(put(0, "idle"))).await.unwrap();
    for mut socket in sockets {
        while !said(&mut socket, "~~").await {}
    }
    let [told, most] = process.memory();
    println!("told of a value: {} MiB, at most {} MiB", told >> 10, most >> 10);
    assert!(most < 300 << 10);
}

/// Whether the next message has these characters.
async fn said(socket: &mut Socket, what: &str) -> bool {
    let message = timeout(DEADLINE, socket.next()).await.unwrap().unwrap().unwrap();
    message.to_text().is_ok_and(|text| text.contains(what))
}
