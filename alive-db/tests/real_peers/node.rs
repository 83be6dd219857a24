//! A GUN peer in a process of Node.js: [`Node`].

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::packages;

/// A peer that says nothing for so long is stuck.
const DEADLINE: Duration = Duration::from_secs(40);

/// A peer that does what it is told; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Node {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<Value>,
    next: u64,
    pub(crate) port: u64,
    _folder: tempfile::TempDir,
}

impl Node {
    pub(crate) fn relay() -> Self {
        Self::start(&["relay"])
    }

    pub(crate) fn client(url: &str) -> Self {
        Self::start(&["client", url])
    }

    /// Where a relay is.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/gun", self.port)
    }

    fn start(args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("node");
        command.arg("peer.mjs").args(args).arg(folder.path().join("data"));
        command.current_dir(packages::ready()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                let Ok(line) = line else { return };
                // Whatever else a package prints is no answer.
                let Ok(value) = serde_json::from_str(&line) else { continue };
                if sender.send(value).is_err() {
                    return;
                }
            }
        });
        let hello: Value = lines.recv_timeout(DEADLINE).unwrap();
        let port = hello["port"].as_u64().unwrap_or(0);
        Self { child, input, lines, next: 0, port, _folder: folder }
    }

    /// Makes a call and gives what the peer answers.
    pub(crate) fn call(&mut self, call: &str, mut job: Value) -> Value {
        self.next += 1;
        job["id"] = json!(self.next);
        job["call"] = json!(call);
        writeln!(self.input.as_mut().unwrap(), "{job}").unwrap();
        let deadline = Instant::now() + DEADLINE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let answer = self.lines.recv_timeout(left);
            let answer = answer.unwrap_or_else(|error| panic!("{error} waiting for {job}"));
            if answer["id"] == job["id"] {
                return answer;
            }
        }
    }

    pub(crate) fn put(&mut self, path: &[&str], value: &Value) -> Value {
        self.call("put", json!({"path": path, "value": value}))
    }

    pub(crate) fn once(&mut self, path: &[&str]) -> Value {
        self.call("once", json!({"path": path}))["value"].take()
    }

    pub(crate) fn seen(&mut self, path: &[&str]) -> Value {
        self.call("seen", json!({"path": path}))["value"].take()
    }

    /// Asks until the answer is right.
    pub(crate) fn once_until(&mut self, path: &[&str], is_right: impl Fn(&Value) -> bool) -> Value {
        Self::until(|| self.once(path), is_right)
    }

    /// Looks at a subscription until it has seen the right thing.
    pub(crate) fn seen_until(&mut self, path: &[&str], is_right: impl Fn(&Value) -> bool) -> Value {
        Self::until(|| self.seen(path), is_right)
    }

    fn until(mut look: impl FnMut() -> Value, is_right: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let value = look();
            if is_right(&value) {
                return value;
            }
            assert!(Instant::now() < deadline, "still {value}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}
