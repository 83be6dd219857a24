//! What people do in the chat of a page.

use serde_json::Value;

use super::driver::Browser;

impl Browser {
    /// Waits until the page knows so much of the visitor: `reader`, `unknown`, `asked`, `approved`, `banned`.
    pub(crate) fn until_standing(&mut self, standing: &str) {
        self.until(&format!("document.getElementById('chat').dataset.standing === '{standing}'"));
    }

    /// Waits until a message with this text is seen, and gives its whole line.
    pub(crate) fn until_said(&mut self, text: &str) -> String {
        let text = Value::from(text);
        let line = self.until(&format!(
            "[...document.querySelectorAll('#chat-log li')].find((li) => \
             li.querySelector('.chat-said').textContent === {text})?.textContent"
        ));
        line.as_str().unwrap().to_owned()
    }

    /// The texts that are seen.
    pub(crate) fn said(&mut self) -> Vec<String> {
        let all =
            "[...document.querySelectorAll('#chat-log .chat-said')].map((e) => e.textContent)";
        let all = self.evaluate(all);
        all.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    }

    /// Signs in with a private key.
    pub(crate) fn sign_in(&mut self, name: &str, key: &str) {
        self.evaluate("document.getElementById('chat-in').open = true");
        self.fill("#chat-account", name);
        self.fill("#chat-key", key);
        self.press("Enter");
    }

    /// Says something.
    pub(crate) fn say(&mut self, text: &str) {
        self.fill("#chat-text", text);
        self.press("Enter");
    }
}
