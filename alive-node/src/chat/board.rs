//! The last messages of a chat, ready to be sent: [`Board`].

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
};

use alive_chat::{Account, Entry, Hidden, Message, Moment, Rule, SessionEvent, Verified};
use alive_core::backend::Digest;
use bytes::Bytes;
use serde_json::json;

/// What is seen of a chat, as a state machine: events go in, frames of server-sent events come out.
#[derive(Debug)]
pub(super) struct Board {
    most: usize,
    shown: BTreeMap<(Moment, Digest), Shown>,
    places: HashMap<Digest, Moment>,
    is_connected: bool,
    is_caught_up: bool,
    /// Milliseconds between two messages of an account, and from when on.
    slow: Option<(f64, Moment)>,
}

#[derive(Debug)]
struct Shown {
    account: Account,
    json: Box<str>,
}

impl Board {
    /// An empty board for at most so many messages.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            shown: BTreeMap::new(),
            places: HashMap::new(),
            is_connected: true,
            is_caught_up: false,
            slow: None,
        }
    }

    /// Begins anew with what is shown now. Frames that were sent before do not count any more.
    pub(super) fn begin<'m>(
        &mut self,
        messages: impl IntoIterator<Item = &'m Verified<Message>>,
        is_caught_up: bool,
    ) {
        self.shown.clear();
        self.places.clear();
        self.is_caught_up = is_caught_up;
        for message in messages {
            self.show(message);
        }
    }

    /// Takes an event; the frame that tells of it, if it concerns visitors.
    pub(super) fn handle_event(&mut self, event: &SessionEvent) -> Option<Bytes> {
        match event {
            SessionEvent::Show(message) => {
                let json = message.signed().to_string();
                self.show(message).then(|| frame("show", &json))
            }
            SessionEvent::Hide { digest, why } => {
                if let Some(time) = self.places.remove(digest) {
                    self.shown.remove(&(time, *digest));
                }
                let data = json!({ "digest": hex(digest), "why": word(*why) });
                Some(frame("hide", &data.to_string()))
            }
            SessionEvent::Ruled(Entry { rule: Rule::Participant(account), .. }) => {
                let data = json!({ "account": account.to_string() });
                Some(frame("account", &data.to_string()))
            }
            SessionEvent::CaughtUp => self.state(true, true),
            SessionEvent::Connected => self.state(true, self.is_caught_up),
            SessionEvent::Disconnected { .. } => self.state(false, false),
            _ => None,
        }
    }

    /// Takes the pause of slow mode and from when on it holds; a frame if the pause is another one.
    pub(super) fn set_slow(&mut self, slow: Option<(f64, Moment)>) -> Option<Bytes> {
        let before = std::mem::replace(&mut self.slow, slow);
        let seconds = |slow: Option<(f64, Moment)>| slow.map_or(0.0, |(pause, _)| pause / 1000.0);
        let now = seconds(self.slow);
        (seconds(before).total_cmp(&now).is_ne())
            .then(|| frame("slow", &json!({ "seconds": now }).to_string()))
    }

    /// Whether all has been read that was said and ruled before.
    pub(super) fn is_caught_up(&self) -> bool {
        self.is_caught_up
    }

    /// Whether a message is on the board.
    pub(super) fn has(&self, digest: &Digest) -> bool {
        self.places.contains_key(digest)
    }

    /// Milliseconds that an account has to wait before a message of this time is not too soon, by slow mode.
    pub(super) fn wait(&self, account: &Account, time: Moment) -> Option<f64> {
        let (pause, since) = self.slow?;
        let own = self.shown.iter().rev().find(|(_, shown)| &shown.account == account);
        let ((last, _), _) = own?;
        let wait = pause - time.since(*last);
        (time >= since && wait > 0.0).then_some(wait)
    }

    /// All that is seen, as JSON. `now` is the time of this machine, so that a browser knows how wrong its clock is.
    pub(super) fn text(&self, now: Moment) -> String {
        let slow = self.slow.map_or(0.0, |(pause, _)| pause / 1000.0);
        let (connected, caught_up) = (self.is_connected, self.is_caught_up);
        let state = json!({ "connected": connected, "caught_up": caught_up, "slow_seconds": slow });
        let mut text = state.to_string();
        text.pop();
        // Writing into a text does not fail.
        let _ = write!(text, ",\"now\":{now},\"messages\":[");
        for (count, shown) in self.shown.values().enumerate() {
            if count > 0 {
                text.push(',');
            }
            text.push_str(&shown.json);
        }
        text.push_str("]}");
        text
    }

    /// The same as the frame that visitors begin with.
    pub(super) fn whole(&self, now: Moment) -> Bytes {
        frame("chat", &self.text(now))
    }

    /// Whether the message is among the last ones.
    fn show(&mut self, message: &Verified<Message>) -> bool {
        let (signed, digest) = (message.signed(), *message.digest());
        let shown = Shown { account: signed.account().clone(), json: signed.to_string().into() };
        self.places.insert(digest, signed.time());
        self.shown.insert((signed.time(), digest), shown);
        while self.shown.len() > self.most {
            let Some(((_, oldest), _)) = self.shown.pop_first() else { break };
            self.places.remove(&oldest);
        }
        self.places.contains_key(&digest)
    }

    fn state(&mut self, is_connected: bool, is_caught_up: bool) -> Option<Bytes> {
        let before = (self.is_connected, self.is_caught_up);
        (self.is_connected, self.is_caught_up) = (is_connected, is_caught_up);
        (before != (is_connected, is_caught_up)).then(|| {
            let data = json!({ "connected": is_connected, "caught_up": is_caught_up });
            frame("state", &data.to_string())
        })
    }
}

/// An event as it is sent. JSON has no line ends of its own.
fn frame(name: &str, data: &str) -> Bytes {
    format!("event: {name}\ndata: {data}\n\n").into()
}

pub(super) fn hex(digest: &Digest) -> String {
    data_encoding::HEXLOWER.encode(digest)
}

fn word(why: Hidden) -> &'static str {
    match why {
        Hidden::Banned => "banned",
        Hidden::Slow => "slow",
        Hidden::Word => "word",
        // By hand, and whatever else may come: the page says no more than that it is hidden.
        _ => "hidden",
    }
}
