//! Claims: a node serves the playlist of 24 hours at 80 % of the rate at which nginx serves the same bytes as a file, and
//! the delta update at 60 % of a file of its size; 10,000 waiting viewers are answered within 200 ms.
//!
//! The viewers wait for the next segment with `_HLS_msn` and `_HLS_skip=YES`, as players do. They are another process on the
//! same cores, see [`crowd`].
//!
//! Both servers run beside each other, `wrk` asks one and the other by turns. Prints a table; `--test` runs everything
//! once and shortly. Needs nginx and wrk, and 11,000 open files.
#![expect(clippy::expect_used, reason = "a bench that cannot run should say so and stop")]
#![expect(clippy::panic, reason = "the same")]
#![expect(clippy::print_stdout, reason = "its figures are its output")]

mod crowd;

use std::{
    fs,
    io::Write as _,
    net::{SocketAddr, TcpListener, TcpStream as StdStream},
    path::Path,
    process::{Child, Command},
    time::{Duration, Instant},
};

use alive_core::{
    Network, Renditions, Segment, Timestamp,
    backend::{
        LiveCache as _, LiveSegment, SharedBlockSource, SharedLiveCache, SharedStorage,
        SharedStreamStore, Storage as _,
    },
    memory::{MemoryChain, MemoryLiveCache, MemoryStorage, MemoryStreamStore},
};
use alive_node::{Backends, Node, NodeConfig, RunningNode, ServerLimits};
use benches::day::{self, Ids};
use crowd::{Crowd, Way};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// As the program does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const LIST: &str = "/stream/alice/s.m3u8";

/// How long and how often to measure.
#[derive(Clone, Copy)]
struct Effort {
    rounds: usize,
    seconds: u32,
    viewers: usize,
    releases: usize,
}

fn main() {
    let mut arguments = std::env::args().skip_while(|argument| argument != crowd::ARGUMENT);
    if arguments.next().is_some() {
        return crowd::view(LIST, arguments);
    }
    let is_test = std::env::args().any(|argument| argument == "--test");
    let only_waiting = std::env::args().any(|argument| argument == "--waiting");
    let effort = if is_test {
        Effort { rounds: 1, seconds: 1, viewers: 200, releases: 2 }
    } else {
        Effort { rounds: 5, seconds: 5, viewers: 10_000, releases: 10 }
    };
    let runtime = runtime();
    let served = runtime.block_on(Served::start());
    if !only_waiting {
        beside_nginx(&served, effort);
    }
    runtime.block_on(served.release(effort)).print(effort.viewers);
}

/// Requests for lists, of the node and of nginx by turns.
fn beside_nginx(served: &Served, effort: Effort) {
    let whole = fetch(served.node.address(), LIST);
    let delta = fetch(served.node.address(), &format!("{LIST}?_HLS_skip=YES"));
    let nginx = Nginx::start(&[("whole.m3u8", &whole), ("delta.m3u8", &delta)]);
    println!(
        "{:<24} {:>8} {:>12} {:>12} {:>7}",
        "request", "bytes", "node /s", "nginx /s", "ratio"
    );
    for (name, path, file, bytes) in [
        ("24 hours", LIST.to_owned(), "whole.m3u8", whole.len()),
        ("24 hours, delta", format!("{LIST}?_HLS_skip=YES"), "delta.m3u8", delta.len()),
    ] {
        let node = format!("http://{}{path}", served.node.address());
        let peer = format!("http://{}/{file}", nginx.address);
        let (ours, theirs, ratio) = by_turns(&node, &peer, effort);
        println!("{name:<24} {bytes:>8} {ours:>12.0} {theirs:>12.0} {ratio:>7.2}");
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime")
}

/// A node with a live stream of 24 hours.
struct Served {
    node: RunningNode,
    live: MemoryLiveCache,
}

impl Served {
    async fn start() -> Self {
        let segments = day::segments(Ids::V1, day::SEGMENTS);
        let (chain, storage) = (MemoryChain::new(Network::hive()), MemoryStorage::default());
        let live = MemoryLiveCache::default();
        let store = SharedStreamStore::new(MemoryStreamStore::default());
        let backends = Backends::new(store, SharedStorage::new(storage.clone()))
            .source(SharedBlockSource::new(chain.clone()))
            .live(SharedLiveCache::new(live.clone()));
        let limits =
            ServerLimits::default().connections(20_000).head_timeout(Duration::from_mins(5));
        let config = NodeConfig::default().address(([127, 0, 0, 1], 0).into()).limits(limits);
        let node = Node::start(config, backends).await.expect("it starts");
        let mut events = node.events();
        let alice = || "alice".parse().expect("a name");
        assert!(chain.submit(alice(), r#"{"op":2,"link":"s"}"#.to_owned()));
        for (seq, part) in segments.chunks(day::SEGMENTS_PER_CHUNK).enumerate() {
            let csv = alive_core::Chunk::encode(part).expect("it fits");
            let id = storage.put(csv.into()).await.expect("memory holds it");
            assert!(
                chain.submit(alice(), format!(r#"{{"op":0,"link":"s","seq":{seq},"src":"{id}"}}"#))
            );
        }
        chain.produce(Timestamp::from_unix_secs(1_800_000_000));
        events.recv().await.expect("it is indexed");
        let served = Self { node, live };
        let want = segments.len();
        while !is_long(served.node.address(), want).await {}
        served
    }

    /// Lets viewers wait in another process and pushes segments.
    async fn release(&self, effort: Effort) -> Releases {
        let Effort { viewers, releases, .. } = effort;
        let first = day::SEGMENTS;
        let mut crowd = Crowd::start(self.node.address(), viewers, first, releases);
        let mut figures = Releases::default();
        for release in 0..releases {
            crowd.asked();
            idle().await;
            figures.resident = figures.resident.max(resident());
            let (start, busy) = (crowd::now(), processor_time());
            self.push(first + release).await;
            let took = crowd.answered().saturating_sub(start);
            match Way::of(release) {
                Way::Handed => figures.handed.push(took),
                Way::Read => figures.read.push(took),
            }
            idle().await;
            figures.processor.push(processor_time().saturating_sub(busy));
        }
        crowd.end();
        figures
    }

    /// A segment comes over the live cache.
    async fn push(&self, number: usize) {
        let segment =
            Segment::new(day::content(Ids::V1, number), "10".parse().expect("a duration"));
        let since = u32::try_from(number).expect("a day").saturating_mul(10);
        let at = Timestamp::from_unix_secs(1_800_000_010 + since);
        let segment = LiveSegment { segment, renditions: Renditions::default(), at };
        let stream = "hive/alice/s".parse().expect("a stream");
        self.live.push(&stream, segment).await.expect("memory holds it");
    }
}

/// Until this process has nothing to do any more: what was sent to it is read, and what it sends is sent.
async fn idle() {
    let mut before = processor_time();
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = processor_time();
        if now.saturating_sub(before) <= Duration::from_millis(10) {
            return;
        }
        before = now;
    }
}

/// What it costs to answer all who wait.
#[derive(Default)]
struct Releases {
    /// From the segment until the last answer was handed to the kernel.
    handed: Vec<Duration>,
    /// From the segment until the last answer was read.
    read: Vec<Duration>,
    /// What the node computed for it, on all cores: what a busy machine changes least.
    processor: Vec<Duration>,
    /// Most memory of the node while they wait, in bytes.
    resident: u64,
}

impl Releases {
    fn print(self, viewers: usize) {
        println!(
            "{viewers} waiting viewers, all of them answered, in ms{:>11} {:>7}",
            "fastest", "median"
        );
        for (name, mut times) in [
            ("handed to the kernel", self.handed),
            ("read by a client on the same cores", self.read),
            ("the node's processor time", self.processor),
        ] {
            times.sort_unstable();
            let millis = |time: Option<&Duration>| time.map_or(0, Duration::as_millis);
            let (fastest, median) = (millis(times.first()), millis(times.get(times.len() / 2)));
            println!("{name:<50} {fastest:>7} {median:>7}");
        }
        println!("memory of the node while they wait: {} MiB", self.resident >> 20);
    }
}

async fn is_long(address: SocketAddr, segments: usize) -> bool {
    let text = tokio::task::spawn_blocking(move || fetch(address, LIST)).await.expect("it runs");
    text.windows(7).filter(|window| window == b"#EXTINF").count() == segments
}

/// The body of an answer.
fn fetch(address: SocketAddr, path: &str) -> Vec<u8> {
    let mut stream = StdStream::connect(address).expect("it connects");
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it sends");
    let mut answer = Vec::new();
    std::io::Read::read_to_end(&mut stream, &mut answer).expect("it reads");
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    answer.split_off(end + 4)
}

/// nginx with files, as one would run it: a worker for each core, sendfile, no log.
struct Nginx {
    child: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Nginx {
    fn start(files: &[(&str, &[u8])]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("www")).expect("a folder");
        for (name, bytes) in files {
            fs::write(folder.path().join("www").join(name), bytes).expect("it is written");
        }
        readable(folder.path());
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("its address");
        drop(free);
        let root = folder.path().display();
        let config = format!(
            "worker_processes auto; daemon off; pid {root}/pid; error_log stderr crit;
             events {{ worker_connections 4096; }}
             http {{
                 access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000;
                 open_file_cache max=100; client_body_temp_path {root}/a; proxy_temp_path {root}/b;
                 fastcgi_temp_path {root}/c; uwsgi_temp_path {root}/d; scgi_temp_path {root}/e;
                 types {{ application/vnd.apple.mpegurl m3u8; }}
                 server {{ listen {address}; root {root}/www; }}
             }}"
        );
        let path = folder.path().join("nginx.conf");
        fs::write(&path, config).expect("it is written");
        let child = Command::new("nginx").arg("-c").arg(&path).spawn().expect("nginx is installed");
        let deadline = Instant::now() + Duration::from_secs(10);
        while StdStream::connect(address).is_err() {
            assert!(Instant::now() < deadline, "nginx does not listen");
            std::thread::yield_now();
        }
        Self { child, address, _folder: folder }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // SIGTERM, so that its workers end with it.
        let ended = Command::new("kill").arg(self.child.id().to_string()).status();
        if ended.is_ok() {
            drop(self.child.wait());
        }
    }
}

/// nginx's workers are nobody.
fn readable(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("it is ours");
}

/// Requests per second of both, and the median of the ratios of what ran side by side.
fn by_turns(ours: &str, theirs: &str, effort: Effort) -> (f64, f64, f64) {
    let mut pairs = Vec::new();
    for round in 0..effort.rounds {
        let (first, second) = if round % 2 == 0 { (ours, theirs) } else { (theirs, ours) };
        let (a, b) = (wrk(first, effort.seconds), wrk(second, effort.seconds));
        pairs.push(if round % 2 == 0 { (a, b) } else { (b, a) });
    }
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().expect("one round at least")
    };
    (
        median(pairs.iter().map(|pair| pair.0).collect()),
        median(pairs.iter().map(|pair| pair.1).collect()),
        median(pairs.iter().map(|pair| pair.0 / pair.1).collect()),
    )
}

fn wrk(url: &str, seconds: u32) -> f64 {
    let duration = format!("{seconds}s");
    let output = Command::new("wrk")
        .args(["-t1", "-c32", "-d", &duration, url])
        .output()
        .expect("wrk is installed");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!text.contains("Non-2xx") && !text.contains("Socket errors"), "{text}");
    let line =
        text.lines().find_map(|line| line.strip_prefix("Requests/sec:")).expect("its figure");
    line.trim().parse().expect("a number")
}

/// Memory of this process, in bytes.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kibibytes.unwrap_or(0) << 10
}

/// What this process has computed so far, in the kernel too, to a hundredth of a second.
fn processor_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, which ends with the last parenthesis, the 12th and the 13th field.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    let ticks: u64 = fields.filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}
