//! A script in a process of Node.js: [`Script`].

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::packages;

/// A script that says nothing for so long is stuck. SEA takes 4 s over a wrong password.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

/// Does what it is told, a line of JSON each way; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Script {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<Value>,
    next: u64,
    _folder: tempfile::TempDir,
}

impl Script {
    /// Starts a script; its last argument is a folder of its own.
    pub(crate) fn start(name: &str, args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("node");
        command.arg(name).args(args).arg(folder.path().join("data"));
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

    /// What it says by itself.
    pub(crate) fn hello(&self) -> Value {
        self.lines.recv_timeout(DEADLINE).unwrap()
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
                return answer;
            }
        }
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}
