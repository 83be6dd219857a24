//! From frames to messages that the hub takes: [`Intake`], one for all links, and [`LinkIntake`], one for each.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::json::{Json, Text};

use super::{
    Admission, Body, Checked, Counters, Dam, Dedup, Delta, Message, Query, Refused, read_frame,
};

/// How much may come in. Ours; a gun peer takes frames of 90 MB.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IntakeLimits {
    /// Longest frame, in bytes. 1 MiB.
    pub frame_bytes: usize,
    /// Keys of one put. 1000.
    pub keys: usize,
    /// Messages of one frame. 2000.
    pub messages_per_frame: usize,
    /// Messages a second from one peer, in the mean; who sends more has to wait. 2000.
    pub messages_per_second: u32,
    /// How many messages may come at once before that mean counts. 10,000.
    pub burst: u32,
    /// How many messages may be refused before the peer is dropped; one is forgiven every second. 100.
    pub faults: u32,
    /// How much of all peers and of the own process may wait for the engine, in bytes of text; who brings more waits. 64 MiB.
    pub waiting_bytes: usize,
}

impl Default for IntakeLimits {
    fn default() -> Self {
        Self {
            frame_bytes: 1 << 20,
            keys: 1000,
            messages_per_frame: 2000,
            messages_per_second: 2000,
            burst: 10_000,
            faults: 100,
            waiting_bytes: 64 << 20,
        }
    }
}

impl IntakeLimits {
    /// Sets [`frame_bytes`](Self::frame_bytes).
    #[must_use]
    pub fn frame_bytes(self, frame_bytes: usize) -> Self {
        Self { frame_bytes, ..self }
    }

    /// Sets [`messages_per_second`](Self::messages_per_second) and [`burst`](Self::burst).
    #[must_use]
    pub fn rate(self, messages_per_second: u32, burst: u32) -> Self {
        Self { messages_per_second, burst, ..self }
    }

    /// Sets [`faults`](Self::faults).
    #[must_use]
    pub fn faults(self, faults: u32) -> Self {
        Self { faults, ..self }
    }

    /// Sets [`waiting_bytes`](Self::waiting_bytes).
    #[must_use]
    pub fn waiting_bytes(self, waiting_bytes: usize) -> Self {
        Self { waiting_bytes, ..self }
    }
}

/// A message that was read, is new, and whose values have passed the admission.
#[derive(Clone, Debug, PartialEq)]
pub struct Incoming {
    pub(crate) id: Option<Text>,
    pub(crate) sent_to: Vec<Text>,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Ack { re: Text, err: Option<String> },
    Dam(Dam),
    Get { query: Option<Query>, hash: Option<i32> },
    NotFound { re: Text },
    Put(Result<Checked, Refused>),
    Reply { re: Text, delta: Result<Checked, Refused>, more: bool },
}

/// What a frame gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Taken {
    /// Messages for the hub.
    pub messages: Vec<Incoming>,
    /// What the sender is told at once, as a frame.
    pub answer: Option<&'static str>,
    /// The sender has sent too much that was wrong: drop it.
    pub fault: Option<DropReason>,
}

/// Why a peer is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DropReason {
    /// There is another connection with the same peer.
    #[error("it is connected already")]
    AlreadyConnected,
    /// It broke the rules of WebSocket.
    #[error("it broke the rules of WebSocket")]
    Broken,
    /// It sent too many messages that had to be refused.
    #[error("it sent too much that had to be refused")]
    Faults,
    /// It asks us to go elsewhere.
    #[error("it is overloaded")]
    Overloaded,
    /// It is ourselves.
    #[error("it is this very peer")]
    Oneself,
    /// It sent a frame so long that it was not even read.
    #[error("it sent a frame that is far too long")]
    Oversized,
    /// It said nothing for too long.
    #[error("it has been silent for too long")]
    Silent,
    /// It takes what we send too slowly.
    #[error("it reads too slowly")]
    Slow,
}

const PARSE_ERROR: &str = r#"{"dam":"!","err":"DAM JSON parse error."}"#;
const TOO_BIG: &str = r#"{"dam":"!","err":"Message too big!"}"#;

/// Reads frames of all links: what is seen twice is dropped before its signatures are looked at.
#[derive(Debug)]
pub struct Intake {
    limits: IntakeLimits,
    admission: Arc<dyn Admission>,
    counters: Arc<Counters>,
    dedup: Mutex<Dedup>,
}

impl Intake {
    /// One for a peer.
    pub fn new(
        limits: IntakeLimits,
        admission: Arc<dyn Admission>,
        counters: Arc<Counters>,
    ) -> Self {
        Self { limits, admission, counters, dedup: Mutex::default() }
    }

    /// The limits.
    pub fn limits(&self) -> &IntakeLimits {
        &self.limits
    }

    /// Takes a frame of a link. `now_ms` is milliseconds since 1970.
    pub fn take(&self, link: &mut LinkIntake, text: &str, now: Instant, now_ms: f64) -> Taken {
        self.counters.frames(1);
        // Before it spends: what was not used while it was idle is lost.
        link.refill(&self.limits, now);
        let mut taken = Taken::default();
        if text.len() > self.limits.frame_bytes {
            self.counters.oversized(1);
            taken.answer = Some(TOO_BIG);
            link.fault(1);
        } else {
            match read_frame(text) {
                Ok(mut messages) => {
                    if messages.len() > self.limits.messages_per_frame {
                        self.counters.oversized(1);
                        messages.truncate(self.limits.messages_per_frame);
                        link.fault(1);
                    }
                    // One that holds none is no less work.
                    link.spend(messages.len().max(1));
                    self.counters.messages(messages.len());
                    for message in messages {
                        taken.messages.extend(self.take_message(link, message, now, now_ms));
                    }
                }
                Err(_) => {
                    self.counters.bad_frames(1);
                    taken.answer = Some(PARSE_ERROR);
                    link.fault(1);
                }
            }
        }
        if link.faults > f64::from(self.limits.faults) {
            taken.fault = Some(DropReason::Faults);
        }
        taken
    }

    /// Lets values of the own process pass.
    ///
    /// # Errors
    /// One may not enter.
    pub fn check(&self, delta: Delta, now_ms: f64) -> Result<Checked, Refused> {
        delta.check(&*self.admission, now_ms)
    }

    fn take_message(
        &self,
        link: &mut LinkIntake,
        message: Message,
        now: Instant,
        now_ms: f64,
    ) -> Option<Incoming> {
        // Nothing panics while it holds the lock.
        let mut dedup = self.dedup.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = message.is_new(&mut dedup, now);
        drop(dedup);
        if !is_new {
            self.counters.duplicates(1);
            return None;
        }
        let Message { id, sent_to, body } = message;
        let kind = match body {
            Body::Ack { re, ok: _, err } => {
                let err = err.filter(|err| *err != Json::Null);
                let text = |err: Json| match err {
                    Json::Text(text) => text.to_str_lossy(),
                    other => other.print(),
                };
                Kind::Ack { re, err: err.map(text).map(|err| err.chars().take(200).collect()) }
            }
            Body::Dam(dam) => Kind::Dam(dam),
            Body::Get(get) => {
                let query = Query::from_get(&get);
                if query.is_none() {
                    self.counters.bad_messages(1);
                    link.fault(1);
                }
                Kind::Get { query, hash: get.hash }
            }
            Body::NotFound { re } => Kind::NotFound { re },
            Body::Put { put, re, more, .. } => {
                let delta = self.read_delta(link, &put, now_ms);
                match re {
                    Some(re) => Kind::Reply { re, delta, more: more.is_some() },
                    None => Kind::Put(delta),
                }
            }
        };
        Some(Incoming { id, sent_to, kind })
    }

    fn read_delta(
        &self,
        link: &mut LinkIntake,
        put: &Json,
        now_ms: f64,
    ) -> Result<Checked, Refused> {
        let delta = Delta::from_json(put, self.limits.keys).map_err(|error| {
            tracing::debug!(%error, "a put is refused");
            self.counters.bad_messages(1);
            link.fault(1);
            Refused { reason: "Invalid data." }
        })?;
        let sent = delta.len();
        let checked = self.check(delta, now_ms).inspect_err(|_| {
            self.counters.unadmitted(1);
            link.fault(1);
        })?;
        self.counters.expired(sent - checked.as_delta().len());
        Ok(checked)
    }
}

/// What one link may still send.
#[derive(Clone, Debug)]
pub struct LinkIntake {
    /// Messages it may send at once; below zero it has to wait.
    credit: f64,
    faults: f64,
    at: Instant,
}

impl LinkIntake {
    /// A link that begins now.
    pub fn new(limits: &IntakeLimits, now: Instant) -> Self {
        Self { credit: limits.burst.into(), faults: 0.0, at: now }
    }

    /// How long nothing more should be read from the link, by its messages so far.
    pub fn wait(&mut self, limits: &IntakeLimits, now: Instant) -> Duration {
        self.refill(limits, now);
        let rate = f64::from(limits.messages_per_second).max(1.0);
        Duration::from_secs_f64((-self.credit / rate).clamp(0.0, 60.0))
    }

    fn refill(&mut self, limits: &IntakeLimits, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        let rate = f64::from(limits.messages_per_second).max(1.0);
        self.credit = (self.credit + passed * rate).min(limits.burst.into());
        self.faults = (self.faults - passed).max(0.0);
    }

    /// Takes frames that are no text for messages: pings are answered, too.
    pub(super) fn spend(&mut self, messages: usize) {
        self.credit -= f64::from(u32::try_from(messages).unwrap_or(u32::MAX));
    }

    fn fault(&mut self, count: u32) {
        self.faults += f64::from(count);
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::gun::Anyone;

    fn intake(limits: IntakeLimits) -> Intake {
        Intake::new(limits, Arc::new(Anyone), Arc::default())
    }

    fn take(intake: &Intake, text: &str) -> Taken {
        let now = Instant::now();
        intake.take(&mut LinkIntake::new(intake.limits(), now), text, now, 1e12)
    }

    fn refusal(text: &str) -> Option<&'static str> {
        match &take(&intake(IntakeLimits::default()), text).messages[..] {
            [Incoming { kind: Kind::Put(Err(refused)), .. }] => Some(refused.reason),
            [Incoming { kind: Kind::Put(Ok(_)), .. }] => None,
            other => panic!("{other:?}"),
        }
    }

    #[rstest]
    #[case::no_meta(r#"{"a":{"k":1}}"#)]
    #[case::other_soul(r##"{"a":{"_":{"#":"b",">":{"k":1}},"k":1}}"##)]
    #[case::no_states(r##"{"a":{"_":{"#":"a"},"k":1}}"##)]
    #[case::no_state(r##"{"a":{"_":{"#":"a",">":{}},"k":1}}"##)]
    #[case::text_state(r##"{"a":{"_":{"#":"a",">":{"k":"1"}},"k":1}}"##)]
    #[case::endless_state(r##"{"a":{"_":{"#":"a",">":{"k":1e999}},"k":1}}"##)]
    #[case::array(r##"{"a":{"_":{"#":"a",">":{"k":1}},"k":[1]}}"##)]
    #[case::object(r##"{"a":{"_":{"#":"a",">":{"k":1}},"k":{"x":1}}}"##)]
    #[case::endless(r##"{"a":{"_":{"#":"a",">":{"k":1}},"k":-1e999}}"##)]
    #[case::one_bad_of_two(r##"{"a":{"_":{"#":"a",">":{"k":1,"j":1}},"k":1,"j":[]}}"##)]
    #[case::one_bad_node(r##"{"a":{"_":{"#":"a",">":{"k":1}},"k":1},"b":5}"##)]
    #[case::no_object("[]")]
    #[case::number("7")]
    fn a_put_that_is_not_all_right_is_refused_as_a_whole(#[case] put: &str) {
        assert_eq!(refusal(&format!(r##"{{"#":"x","put":{put}}}"##)), Some("Invalid data."));
    }

    #[test]
    fn hostile_names_and_states_are_refused() {
        let put = |soul: &str, key: &str, state: &str| {
            format!(
                r##"{{"#":"x","put":{{"{soul}":{{"_":{{"#":"{soul}",">":{{"{key}":{state}}}}},"{key}":1}}}}}}"##
            )
        };
        let (long, fits) = ("x".repeat(1025), "x".repeat(1024));
        assert_eq!(refusal(&put(&fits, &fits, "1")), None);
        assert_eq!(refusal(&put(&long, "k", "1")), Some("Invalid data."));
        assert_eq!(refusal(&put("s", &long, "1")), Some("Invalid data."));
        assert_eq!(refusal(&put("s", "k", "1000000600000")), None, "ten minutes ahead");
        assert_eq!(refusal(&put("s", "k", "1000000600001")), Some("State too far in the future."));
    }

    #[test]
    fn a_put_has_at_most_so_many_keys() {
        let put = |keys: usize| {
            let states: Vec<_> = (0..keys).map(|n| format!(r#""{n}":1"#)).collect();
            let states = states.join(",");
            format!(r##"{{"put":{{"a":{{"_":{{"#":"a",">":{{{states}}}}},{states}}}}}}}"##)
        };
        assert_eq!(refusal(&put(1000)), None);
        assert_eq!(refusal(&put(1001)), Some("Invalid data."));
    }

    #[test]
    fn frames_too_long_or_broken_are_answered_and_counted() {
        let intake = intake(IntakeLimits::default().frame_bytes(100));
        let long = format!("[{}]", " ".repeat(100));
        assert_eq!(take(&intake, &long).answer, Some(TOO_BIG));
        assert_eq!(take(&intake, "[{}").answer, Some(PARSE_ERROR));
        assert_eq!(take(&intake, &"[".repeat(99)).answer, Some(PARSE_ERROR));
        for nothing in ["", " []", "[]", "hello", "42", "[[1],null,\"x\",{}]"] {
            assert_eq!(take(&intake, nothing), Taken::default(), "{nothing:?}");
        }
        let counts = intake.counters.read();
        assert_eq!((counts.oversized, counts.bad_frames, counts.frames), (1, 2, 9));
    }

    #[test]
    fn a_message_seen_on_another_link_is_dropped_before_it_is_checked() {
        let intake = intake(IntakeLimits::default());
        assert_eq!(take(&intake, r##"{"#":"a","get":{"#":"s"}}"##).messages.len(), 1);
        assert_eq!(take(&intake, r##"{"#":"a","put":{"bad":1}}"##), Taken::default());
        let counts = intake.counters.read();
        assert_eq!((counts.duplicates, counts.bad_messages), (1, 0));
    }

    #[test]
    fn who_sends_too_much_waits_and_who_sends_nonsense_is_dropped() {
        let intake = intake(IntakeLimits::default().rate(10, 5).faults(3));
        let start = Instant::now();
        let mut link = LinkIntake::new(intake.limits(), start);
        let frame =
            r##"[{"get":{"#":"a"}},{"get":{"#":"b"}},{"get":{"#":"c"}},{"get":{"#":"d"}}]"##;
        intake.take(&mut link, frame, start, 0.0);
        assert_eq!(link.wait(intake.limits(), start), Duration::ZERO);
        intake.take(&mut link, frame, start, 0.0);
        assert_eq!(link.wait(intake.limits(), start), Duration::from_millis(300));
        let later = start + Duration::from_secs(100);
        assert_eq!(link.wait(intake.limits(), later), Duration::ZERO);
        for n in 0..4 {
            let taken = intake.take(&mut link, "{", later, 0.0);
            assert_eq!(taken.fault, (n == 3).then_some(DropReason::Faults));
        }
        link.wait(intake.limits(), later + Duration::from_secs(2));
        assert_eq!(intake.take(&mut link, "{}", later, 0.0).fault, None, "forgiven");
    }

    #[test]
    fn who_was_idle_may_not_send_more_than_a_burst_at_once() {
        let intake = intake(IntakeLimits::default().rate(10, 5));
        let start = Instant::now();
        let mut link = LinkIntake::new(intake.limits(), start);
        let later = start + Duration::from_secs(100);
        let gets: Vec<_> = (0..8).map(|n| format!(r##"{{"get":{{"#":"s{n}"}}}}"##)).collect();
        intake.take(&mut link, &format!("[{}]", gets.join(",")), later, 0.0);
        assert_eq!(link.wait(intake.limits(), later), Duration::from_millis(300));
    }

    #[test]
    fn lex_on_souls_and_gets_of_nothing_have_no_query() {
        for get in
            ["{}", r##"{"#":{"*":""}}"##, r##"{"#":""}"##, r##"{"#":5}"##, r##"{"#":"a",".":7}"##]
        {
            let taken = take(&intake(IntakeLimits::default()), &format!(r#"{{"get":{get}}}"#));
            assert_eq!(taken.messages[0].kind, Kind::Get { query: None, hash: None }, "{get}");
        }
    }
}
