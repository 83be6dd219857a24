//! A node in a process of its own: [`Process`] starts this binary once more, to run the one test that is a node then.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

/// Tells a process of a test's binary that it is the node.
const VARIABLE: &str = "ALIVE_NODE_TEST_IS_NODE";

/// A node. It ends when this is dropped, and when the process that started it does.
pub(crate) struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    /// Starts the test that is the node, and waits until it says where it listens. Returned are also the lines that it says
    /// after that.
    pub(crate) fn start(test: &str) -> (Self, impl Iterator<Item = String> + Send + use<>) {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env(VARIABLE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut lines = lines.map_while(Result::ok);
        // The harness has begun the line with the name of the test.
        let address = lines.find_map(|line| line.split_once("address ")?.1.parse().ok()).unwrap();
        (Self { child, address }, lines)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its memory now, in KiB, by the kernel.
    pub(crate) fn resident_kib(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most memory that it has had, in KiB.
    pub(crate) fn peak_kib(&self) -> u64 {
        self.status("VmHWM:")
    }

    /// Its processor time so far, in seconds.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: f64 = [11, 12].iter().map(|n| fields[*n].parse::<f64>().unwrap()).sum();
        ticks / 100.0
    }

    fn status(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Whether this process is to be the node. If so, it ends when the one that started it is gone, however it went.
pub(crate) fn is_node() -> bool {
    let is_node = env::var_os(VARIABLE).is_some();
    if is_node {
        std::thread::spawn(|| {
            let _ = std::io::stdin().lines().count();
            std::process::exit(0);
        });
    }
    is_node
}

/// Tells who started this process where it listens.
pub(crate) fn say_address(address: SocketAddr) {
    writeln!(std::io::stdout(), "address {address}").unwrap();
}
