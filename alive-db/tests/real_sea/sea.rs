//! SEA in a process of Node.js: [`Sea`].

use serde_json::{Value, json};

use crate::script::Script;

/// A process that does what it is told; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Sea(Script);

impl Sea {
    pub(crate) fn start() -> Self {
        Self(Script::start("sea.mjs", &[]))
    }

    /// One whose GUN client dials a relay.
    pub(crate) fn connected(url: &str) -> Self {
        let mut this = Self::start();
        this.call("connect", json!({ "url": url }));
        this
    }

    /// Makes a call and gives the answer.
    pub(crate) fn call(&mut self, call: &str, job: Value) -> Value {
        let what = job.to_string();
        let answer = self.0.call(call, job);
        assert_eq!(answer["thrown"], Value::Null, "{call}: {what}");
        answer
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
