//! Claims: a node serves the playlist of 24 hours at 80 % of the rate at which nginx serves the same bytes as a file, and
//! the delta update at 60 % of a file of its size; 10,000 waiting viewers are answered within 200 ms.
//!
//! Both servers run beside each other, `wrk` asks one and the other by turns. Prints a table; `--test` runs everything
//! once and shortly. Needs nginx and wrk, and 11,000 open files.
#![expect(clippy::expect_used, reason = "a bench that cannot run should say so and stop")]
#![expect(clippy::print_stdout, reason = "its figures are its output")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream as StdStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
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
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime::Runtime,
    task::JoinSet,
};

const LIST: &str = "/stream/alice/s.m3u8";

/// How long and how often to measure.
#[derive(Clone, Copy)]
struct Effort {
    rounds: usize,
    seconds: u32,
    viewers: usize,
}

fn main() {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--viewers").skip(1);
    if let (Some(address), Some(count)) = (arguments.next(), arguments.next()) {
        let (address, count) = (address.parse().expect("address"), count.parse().expect("count"));
        return runtime().block_on(view(address, count));
    }
    let is_test = std::env::args().any(|argument| argument == "--test");
    let effort = if is_test {
        Effort { rounds: 1, seconds: 1, viewers: 200 }
    } else {
        Effort { rounds: 5, seconds: 5, viewers: 10_000 }
    };
    let runtime = runtime();
    let served = runtime.block_on(Served::start());
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
    let Release { last_answer, processor, resident } =
        runtime.block_on(served.release(effort.viewers));
    println!(
        "{} waiting viewers: the last is answered {} ms after the segment, {} ms of processor time; {} MiB",
        effort.viewers,
        last_answer.as_millis(),
        processor.as_millis(),
        resident >> 20
    );
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

    /// Lets viewers wait in another process and pushes a segment.
    async fn release(&self, viewers: usize) -> Release {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--viewers", &self.node.address().to_string(), &viewers.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the viewers start");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut line = || lines.next().expect("a line").expect("text");
        assert_eq!(line(), "waiting");
        // Sent is not yet read: it has read all of them when it has nothing to do any more.
        let mut before = processor_time();
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let now = processor_time();
            if now.saturating_sub(before) <= Duration::from_millis(10) {
                break;
            }
            before = now;
        }
        let resident = resident();
        let (start, busy) = (micros(), processor_time());
        let content = day::content(Ids::V1, day::SEGMENTS);
        let segment = Segment::new(content, "10".parse().expect("a duration"));
        let at = Timestamp::from_unix_secs(1_800_000_010);
        let segment = LiveSegment { segment, renditions: Renditions::default(), at };
        let stream = "hive/alice/s".parse().expect("a stream");
        self.live.push(&stream, segment).await.expect("memory holds it");
        let end: u128 = line().parse().expect("a time");
        child.wait().expect("it ends");
        let took = u64::try_from(end.saturating_sub(start)).unwrap_or(u64::MAX);
        let processor = processor_time().saturating_sub(busy);
        Release { last_answer: Duration::from_micros(took), processor, resident }
    }
}

/// What it costs to answer all who wait.
struct Release {
    /// From the segment to the last answer.
    last_answer: Duration,
    /// What the node computed for it, on all cores: what a busy machine does not change.
    processor: Duration,
    /// Memory of the node while they wait, in bytes.
    resident: u64,
}

/// The other process: viewers who wait for the next segment. Prints when all have asked, and when the last was answered.
async fn view(address: SocketAddr, count: usize) {
    let path = format!("{LIST}?_HLS_msn={}&_HLS_skip=YES", day::SEGMENTS);
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n");
    let mut viewers = JoinSet::new();
    for _ in 0..count {
        let mut stream = TcpStream::connect(address).await.expect("it connects");
        stream.write_all(request.as_bytes()).await.expect("it sends");
        viewers.spawn(async move {
            let mut answer = vec![0; 4096];
            let read = stream.read(&mut answer).await.expect("it reads");
            let answer = answer.get(..read).unwrap_or_default();
            assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(answer));
            micros()
        });
    }
    println!("waiting");
    let last = viewers.join_all().await.into_iter().max().expect("there is one");
    println!("{last}");
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

/// The time of day, the same in both processes.
fn micros() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros()
}
