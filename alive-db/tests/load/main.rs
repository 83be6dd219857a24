//! Speed and memory of a relay, beside npm's `gun` on the same work. Prints a table; run it with `--release --nocapture`.
#![cfg(test)]
#![cfg(all(feature = "relay", target_os = "linux", not(debug_assertions)))]
#![expect(clippy::print_stdout, reason = "the figures are what it is run for")]

#[path = "../real_peers/packages.rs"]
mod packages;

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use alive_db::gun::{Anyone, IntakeLimits, Peer, PeerConfig, Relay, RelayLimits};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{
    net::TcpListener,
    task::JoinSet,
    time::{Instant, timeout},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};

const DEADLINE: Duration = Duration::from_mins(4);
/// Set for the process that is measured.
const RELAY: &str = "ALIVE_DB_LOAD_RELAY";
const SUBSCRIBERS: usize = 200;
const PUTS: usize = 2_000;

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

/// A relay in a process of its own.
struct Process {
    child: Child,
    port: u64,
}

impl Process {
    fn ours() -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["relay_process", "--exact", "--nocapture", "--test-threads", "1"]);
        Self::start(command.env(RELAY, "1"))
    }

    fn npm(folder: &std::path::Path) -> Self {
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
    if env::var_os(RELAY).is_none() {
        return;
    }
    let config = PeerConfig::default().intake(IntakeLimits::default().rate(1_000_000, 1_000_000));
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
        let get = format!(r##"{{"#":"get{n:06}","get":{{"#":"{soul}"}}}}"##);
        socket.send(Message::text(get)).await.unwrap();
        sockets.push(socket);
    }
    sockets
}

fn put(n: usize, soul: &str) -> String {
    let state = 1_600_000_000_000_u64;
    format!(
        r##"{{"#":"put{n:06}","put":{{"{soul}":{{"_":{{"#":"{soul}",">":{{"k{n}":{state}}}}},"k{n}":"~~ {n:0100}"}}}}}}"##
    )
}

/// Puts of one publisher until every subscriber has them all; deliveries per second of the relay's processor time.
async fn fan_out(name: &str, process: &Process) -> (f64, u64) {
    let mut publisher = process.connect().await;
    publisher.send(Message::text(put(PUTS, "fan"))).await.unwrap();
    let mut readers = JoinSet::new();
    for mut socket in subscribe(process, SUBSCRIBERS, "fan").await {
        readers.spawn(async move {
            let mut seen = 0;
            // One value was there before.
            while seen < PUTS + 1 {
                match socket.next().await.unwrap().unwrap() {
                    Message::Text(text) => seen += text.matches("~~").count(),
                    Message::Close(_) => panic!("dropped after {seen}"),
                    _ => {}
                }
            }
            socket
        });
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (mut sink, mut acks) = publisher.split();
    let reading = tokio::spawn(async move { while acks.next().await.is_some() {} });
    let (start, cpu) = (Instant::now(), process.cpu());
    for n in 0..PUTS {
        sink.feed(Message::text(put(n, "fan"))).await.unwrap();
        if n % 20 == 0 {
            sink.flush().await.unwrap();
        }
    }
    sink.flush().await.unwrap();
    let done = timeout(DEADLINE, readers.join_all()).await.unwrap();
    let (wall, cpu) = (start.elapsed(), process.cpu().saturating_sub(cpu));
    let [_, most] = process.memory();
    drop(done);
    reading.abort();
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let deliveries = (PUTS * SUBSCRIBERS) as f64;
    let rate = deliveries / cpu.as_secs_f64().max(0.01);
    println!(
        "{name}: {rate:.0} deliveries/s of processor time, {:.0}/s by the clock, at most {} MiB",
        deliveries / wall.as_secs_f64(),
        most >> 10
    );
    (rate, most)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Node.js, and measures"]
async fn a_relay_delivers_ten_times_what_npm_gun_does_at_a_quarter_of_its_memory() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, our_memory) = fan_out("ours", &Process::ours()).await;
    let (theirs, their_memory) = fan_out("npm gun", &Process::npm(folder.path())).await;
    println!("{:.1} times as many, {:.2} of the memory", ours / theirs, {
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let part = our_memory as f64 / their_memory as f64;
        part
    });
    // Not the figures themselves, which a busy machine distorts, but their order.
    assert!(ours > 3.0 * theirs && our_memory < their_memory / 2);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures"]
async fn ten_thousand_idle_subscribers_fit_into_300_mib() {
    let process = Process::ours();
    let [before, _] = process.memory();
    let sockets = timeout(DEADLINE, subscribe(&process, 9_900, "idle")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let [idle, _] = process.memory();
    println!(
        "{} idle subscribers: {} MiB, {} bytes each",
        sockets.len(),
        idle >> 10,
        (idle - before) * 1024 / sockets.len() as u64
    );
    assert!(idle < 300 << 10);
    // And they are alive: one value comes to all of them.
    let mut publisher = process.connect().await;
    publisher.send(Message::text(put(0, "idle"))).await.unwrap();
    for mut socket in sockets {
        let told = async {
            while let Some(Ok(message)) = socket.next().await {
                if message.to_text().is_ok_and(|text| text.contains("~~")) {
                    return true;
                }
            }
            false
        };
        assert!(timeout(DEADLINE, told).await.unwrap());
    }
}
