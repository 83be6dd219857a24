//! Bodies of fuzz targets: they panic when a rule is broken.
#![expect(clippy::expect_used, clippy::panic, reason = "a fuzz target reports by a panic")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::json::{Json, Text};

use super::{
    Anyone, Counters, Delta, Effect, Graph, Hub, HubConfig, Intake, IntakeLimits, LinkId,
    LinkIntake, Now, Origin, Part, Side, State, Value, read_frame,
};

/// Frames of any bytes are refused or read, and what is read prints to the same again.
pub fn frame(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(json) = Json::parse(&text) {
        let printed = json.print();
        let again = Json::parse(&printed).expect("what is printed is JSON");
        assert_eq!(again.print(), printed);
        if let Ok(delta) = Delta::from_json(&json, 1000) {
            check_delta(&delta, &json);
        }
    }
    for message in read_frame(&text).unwrap_or_default() {
        if let super::Body::Put { put, .. } = &message.body
            && let Ok(delta) = Delta::from_json(put, 1000)
        {
            check_delta(&delta, put);
        }
    }
}

fn check_delta(delta: &Delta, put: &Json) {
    let printed = delta.print();
    let json = Json::parse(&printed).expect("what is printed is JSON");
    let again = Delta::from_json(&json, 1000).expect("and a delta");
    // Keys that are array indices come first when read, wherever they were printed.
    assert_eq!(again.print().len(), printed.len());
    assert_eq!(again.hash(), delta.hash());
    assert_eq!(again.len(), delta.len());
    // Only fields that a node does not have, such as more metadata, may change the hash.
    if put.print().len() == printed.len() {
        assert_eq!(super::hash(put), delta.hash());
    }
}

/// Writes in any order, any number of times, end in the same graph.
pub fn merge(data: &[u8]) {
    let now = Instant::now();
    let writes: Vec<_> = data
        .chunks_exact(3)
        .map(|write| {
            let [place, value, state] = write else { panic!("three bytes") };
            let value = match value % 7 {
                0 => Value::Null,
                1 => Value::Bool(*value > 127),
                2 => Value::Link(format!("{value}").into()),
                3 => Value::from_json(&Json::Number(f64::from(*value) - 9.5)).expect("finite"),
                4 => "～".into(),
                5 => "😀".into(),
                _ => Value::Text(char::from(*value).to_string().into()),
            };
            let [soul, key] = [place % 3, place / 3 % 4].map(|n| Text::from(n.to_string()));
            (soul, key, value, State::new(f64::from(state % 8)).expect("finite"))
        })
        .collect();
    let end = |order: &mut dyn Iterator<Item = &(Text, Text, Value, State)>| {
        let mut graph = Graph::default();
        for (soul, key, value, state) in order {
            graph.merge(soul, key, value, *state, Origin(1), now, 100.0);
        }
        ["0", "1", "2"].map(|soul| graph.select(&soul.into(), &Part::All, now))
    };
    let straight = end(&mut writes.iter());
    assert_eq!(straight, end(&mut writes.iter().rev()), "backwards");
    let half = writes.len() / 2;
    let turned = writes.iter().cycle().skip(half).take(writes.len() * 2);
    assert_eq!(straight, end(&mut turned.into_iter()), "from the middle, and twice");
}

/// A hub that two peers tell anything: each byte `0xff` ends a message, the next byte says who sends it and how much time
/// passes. Whatever they say, what the hub sends is JSON and its timers come to an end.
pub fn hub(data: &[u8]) {
    let counters = Arc::new(Counters::default());
    let intake = Intake::new(IntakeLimits::default(), Arc::new(Anyone), Arc::clone(&counters));
    let mut now = Now { at: Instant::now(), millis: 1e12 };
    let mut hub = Hub::new(HubConfig::new("fuzzed", 1), counters, now);
    hub.set_upstreams(1);
    let (served, dialled) = (LinkId(1), LinkId(2));
    hub.handle_connect(served, Side::Accepted, Origin(1), now);
    hub.handle_connect(dialled, Side::Dialled, Origin::OWN, now);
    for message in data.split(|byte| *byte == 0xff) {
        let (how, text) = message.split_first().unwrap_or((&0, &[]));
        let mut budget = LinkIntake::new(intake.limits(), now.at);
        let taken = intake.take(&mut budget, &String::from_utf8_lossy(text), now.at, now.millis);
        for message in taken.messages {
            let link = if how % 2 == 0 { served } else { dialled };
            hub.handle_message(link, message, now);
        }
        let passed = u32::from(how >> 1) * 20;
        now.at += Duration::from_millis(passed.into());
        now.millis += f64::from(passed);
        hub.handle_timeout(now);
        drain(&mut hub);
    }
    hub.handle_disconnect(served, now);
    hub.handle_disconnect(dialled, now);
    drain(&mut hub);
    assert_eq!(hub.links(), 0);
}

fn drain(hub: &mut Hub) {
    while let Some(effect) = hub.poll_effect() {
        if let Effect::Send { text, links } = effect {
            Json::parse(&text).expect("what is sent is JSON");
            assert!(!links.is_empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    /// Texts that look like messages.
    fn talk() -> impl Strategy<Value = Vec<u8>> {
        let parts = [
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"#\"",
            "\"@\"",
            "\"##\"",
            "\"put\"",
            "\"get\"",
            "\"_\"",
            "\">\"",
            "\".\"",
            "\"ok\"",
            "\"dam\"",
            "\"?\"",
            "\"pid\"",
            "\"fuzzed\"",
            "\"s\"",
            "\"k\"",
            "1",
            "1000000000100",
            "null",
            "\"\\ud800\"",
            "\"7\"",
            r##"{"#":"g","get":{"#":"s"}}"##,
            r##"{"#":"h","get":{"#":"s",".":{"*":"k"},"%":99}}"##,
            r##"{"#":"p","put":{"s":{"_":{"#":"s",">":{"k":5}},"k":"v"}}}"##,
            r##"{"#":"q","put":{"s":{"_":{"#":"s",">":{"k":1000000000200}},"k":{"#":"t"}}}}"##,
            r##"{"#":"r","@":"g","put":{"s":{"_":{"#":"s",">":{"7":6,"k":6}},"7":1,"k":2}}}"##,
        ];
        let part = prop_oneof![
            8 => proptest::sample::select(parts.to_vec()).prop_map(|part| part.as_bytes().to_vec()),
            2 => any::<u8>().prop_map(|how| vec![0xff, how]),
            1 => any::<Vec<u8>>(),
        ];
        proptest::collection::vec(part, 0..24).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn any_frame_is_read_or_refused(data in talk()) {
            super::frame(&data);
        }

        #[test]
        fn any_order_of_merges_gives_one_graph(data: Vec<u8>) {
            super::merge(&data);
        }

        #[test]
        fn a_hub_takes_anything(data in talk()) {
            super::hub(&data);
        }
    }
}
