//! A real browser: [`Browser`].

use std::{
    io::{BufRead as _, BufReader, Lines, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::{Value, json};

use super::packages;

/// One browser at a time: two that play on a small machine drop each other's frames.
static ONE: Mutex<()> = Mutex::new(());

/// Chromium without a window, driven over `drive.mjs`. It closes when this is dropped.
///
/// Its calls block, so tests need a runtime with several threads.
pub(crate) struct Browser {
    child: Child,
    tell: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
    _one: MutexGuard<'static, ()>,
}

impl Browser {
    pub(crate) fn start() -> Self {
        let folder = packages::ready();
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut child = Command::new("node")
            .arg(folder.join("drive.mjs"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let tell = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, tell, answers, _one: one }
    }

    /// Tells it to do something, and what came of it.
    ///
    /// # Panics
    /// With what the browser saw, if it could not.
    pub(crate) fn act(&mut self, name: &str, mut args: Value) -> Value {
        args["act"] = name.into();
        let line = format!("{args}\n");
        self.tell.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
        let answer = self.answers.next().expect("the browser ended").unwrap();
        let mut answer: Value = serde_json::from_str(&answer).unwrap();
        match answer.get("error").and_then(Value::as_str) {
            None => answer["ok"].take(),
            Some(error) => panic!("{name} {args}: {error}"),
        }
    }

    pub(crate) fn open(&mut self, url: &str) {
        assert_eq!(self.act("open", json!({ "url": url })), 200, "{url}");
    }

    /// As somebody sees it who holds a telephone.
    pub(crate) fn open_on_phone(&mut self, url: &str) {
        let args = json!({ "url": url, "width": 390, "height": 844, "phone": true });
        assert_eq!(self.act("open", args), 200, "{url}");
    }

    /// Waits until an expression is true.
    pub(crate) fn until(&mut self, expression: &str) -> Value {
        self.act("until", json!({ "expression": expression }))
    }

    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        self.act("evaluate", json!({ "expression": expression }))
    }

    /// Writes into a field as a person does, in place of what stands there.
    pub(crate) fn fill(&mut self, selector: &str, text: &str) {
        self.act("fill", json!({ "selector": selector, "text": text }));
    }

    pub(crate) fn click(&mut self, selector: &str) {
        self.act("click", json!({ "selector": selector }));
    }

    pub(crate) fn press(&mut self, key: &str) {
        self.act("press", json!({ "key": key }));
    }

    /// Waits until the video has played to a time and shown frames, and the sound was decoded.
    pub(crate) fn until_played(&mut self, seconds: u32) {
        self.until(&format!(
            "(() => {{ const v = document.getElementById('video'); \
             return v.currentTime >= {seconds} && v.getVideoPlaybackQuality().totalVideoFrames > 15 \
             && v.webkitAudioDecodedByteCount > 0; }})()"
        ));
    }

    /// The text of an element.
    pub(crate) fn text(&mut self, id: &str) -> String {
        let expression = format!("document.getElementById('{id}').textContent");
        self.evaluate(&expression).as_str().unwrap().to_owned()
    }

    /// Waits until the text of an element is as wanted.
    pub(crate) fn until_text(&mut self, id: &str, wanted: &str) {
        let wanted = Value::from(wanted);
        self.until(&format!("document.getElementById('{id}').textContent.includes({wanted})"));
    }

    /// A picture of the page, for people who look at the tests.
    pub(crate) fn screenshot(&mut self, name: &str) {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
        std::fs::create_dir_all(&folder).unwrap();
        self.act("screenshot", json!({ "path": folder.join(format!("{name}.png")) }));
    }

    /// Nothing went wrong that nobody looked at, and nobody was asked but these.
    pub(crate) fn saw_nothing_wrong(&mut self, hosts: &[String]) {
        self.saw_only("nothing at all", hosts);
    }

    /// Nothing went wrong but what is named: a live list that did not grow in time is no fault of the page.
    pub(crate) fn saw_only(&mut self, expected: &str, hosts: &[String]) {
        let seen = self.act("seen", json!({}));
        for error in seen["errors"].as_array().unwrap() {
            assert!(error.as_str().unwrap().contains(expected), "{seen}");
        }
        assert_eq!(seen["dialogs"], json!([]), "{seen}");
        assert_eq!(seen["violations"], json!([]), "{seen}");
        for host in seen["hosts"].as_array().unwrap() {
            assert!(hosts.iter().any(|known| host == known.as_str()), "{host} was asked: {seen}");
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The end of its input ends it, and the browser with it.
        drop(self.tell.take());
        let _ = self.child.wait();
    }
}
