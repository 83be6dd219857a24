//! A running js-ipfs: [`JsIpfs`]. The tests of the program take this file, too.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use alive_core::GatewayUrl;
use serde_json::{Value, json};

use crate::packages::Packages;

/// A node that has not started by then does not start.
const DEADLINE: Duration = Duration::from_mins(2);

/// js-ipfs, offline, on free ports of the loopback interface, with a repository of its own. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct JsIpfs {
    /// Where its RPC is.
    pub(crate) rpc: GatewayUrl,
    /// Where its gateway is.
    pub(crate) gateway: GatewayUrl,
    process: Child,
    _repository: tempfile::TempDir,
}

impl JsIpfs {
    pub(crate) fn start() -> Self {
        let packages = Packages::ready();
        let repository = tempfile::tempdir().unwrap();
        let jsipfs = || {
            let mut command = Command::new("node");
            // A dependency of it uses what came with a later Node.js.
            command.arg("--require").arg(packages.js.join("polyfill.cjs"));
            command.arg(packages.js.join("node_modules/.bin/jsipfs"));
            command.env("IPFS_PATH", repository.path()).env_remove("NODE_OPTIONS");
            command.stdin(Stdio::null()).stderr(Stdio::null());
            command
        };
        let made = jsipfs().args(["init", "--profile", "test", "--empty-repo"]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
        configure(&repository.path().join("config"));
        let mut daemon = jsipfs();
        daemon.args(["daemon", "--offline", "--enable-preload=false"]).stdout(Stdio::piped());
        let mut process = daemon.spawn().unwrap();
        let lines = read(process.stdout.take().unwrap());
        let start = || {
            let rpc = address(&lines, "HTTP API")?;
            let gateway = address(&lines, "Gateway")?;
            wait(&lines, "Daemon is ready").map(|_| (rpc, gateway))
        };
        let Some((rpc, gateway)) = start() else {
            let _ = process.kill();
            panic!("js-ipfs did not start");
        };
        Self { rpc, gateway, process, _repository: repository }
    }
}

impl Drop for JsIpfs {
    fn drop(&mut self) {
        // Its repository goes, too, so it need not close it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Free ports of the loopback interface, and no peers.
fn configure(file: &Path) {
    let mut config: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let any = "/ip4/127.0.0.1/tcp/0";
    config["Addresses"] = json!({ "Swarm": [], "API": any, "Gateway": any, "RPC": any });
    fs::write(file, config.to_string()).unwrap();
}

/// The lines that the process writes; they are read to their end, so that it never waits for us.
fn read(from: ChildStdout) -> mpsc::Receiver<String> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let _ = send.send(line);
        }
    });
    receive
}

fn wait(lines: &mpsc::Receiver<String>, start: &str) -> Option<String> {
    loop {
        let line = lines.recv_timeout(DEADLINE).ok()?;
        if line.starts_with(start) {
            return Some(line);
        }
    }
}

/// Reads `Gateway (read only) listening on /ip4/127.0.0.1/tcp/42169/http`.
fn address(lines: &mpsc::Receiver<String>, what: &str) -> Option<GatewayUrl> {
    let line = wait(lines, what)?;
    let port = line.split("/tcp/").nth(1)?.split('/').next()?;
    format!("http://127.0.0.1:{port}").parse().ok()
}
