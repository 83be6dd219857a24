//! SEA in a process of Node.js: [`Sea`].

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::packages;

/// A process that says nothing for so long is stuck. A wrong password takes it 4 s.
const DEADLINE: Duration = Duration::from_mins(1);

/// A process that does what it is told; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Sea {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<Value>,
    next: u64,
    _folder: tempfile::TempDir,
}

impl Sea {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("node");
        command.arg("sea.mjs").arg(folder.path().join("data"));
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
        Self { child, input, lines, next: 0, _folder: folder }
    }

    /// One whose GUN client dials a relay.
    pub(crate) fn connected(url: &str) -> Self {
        let mut this = Self::start();
        this.call("connect", json!({ "url": url }));
        this
    }

    /// Makes a call and gives the answer.
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
                assert_eq!(answer["thrown"], Value::Null, "{job}");
                return answer;
            }
        }
    }

    /// The same, and only the value of the answer.
    pub(crate) fn value(&mut self, call: &str, job: Value) -> Value {
        self.call(call, job)["value"].take()
    }

    pub(crate) fn text(&mut self, call: &str, job: Value) -> String {
        let value = self.value(call, job);
        value.as_str().unwrap_or_else(|| panic!("{call}: {value}")).to_owned()
    }
}

impl Drop for Sea {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}
