//! A GUN peer in a process of Node.js: [`Node`].

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::script::{DEADLINE, Script};

/// A peer that does what it is told; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Node {
    script: Script,
    pub(crate) port: u64,
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
        let script = Script::start("peer.mjs", args);
        let port = script.hello()["port"].as_u64().unwrap_or(0);
        Self { script, port }
    }

    /// Makes a call and gives what the peer answers.
    pub(crate) fn call(&mut self, call: &str, job: Value) -> Value {
        self.script.call(call, job)
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
