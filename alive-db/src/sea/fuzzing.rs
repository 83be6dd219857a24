//! Bodies of the fuzz targets: each takes any bytes and asserts what must hold of whatever is accepted.

use std::sync::LazyLock;

use alive_core::backend::HeldParts;

use super::{Account, Encrypted, KeyPair, PublicKey, Signed, UserSpace, hash, owner};
use crate::{
    gun::{Delta, NodeDelta, Put, State, Value},
    json::Json,
    schema::{Item, PartSpace, StreamSpace},
};

const NOW: f64 = 1_795_219_500_000.0;
const PUBLIC: &str =
    "jbR1OmuqvvOkQ-mUlrpC8uzrMNKnxnY2EzoGDDmXZ7w.6QdPysmLzGKqbHiVKWpzspYQkhDLQntJnQIJzYElfc0";

/// A key that has signed nothing.
static KEY: LazyLock<Option<PublicKey>> = LazyLock::new(|| PUBLIC.parse().ok());

/// Signed data: what is read prints to what reads the same, and nobody's signature is not that of a key that signed
/// nothing.
pub fn signed_data(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(signed) = Signed::parse(text) else { return };
    let again = Signed::parse(&signed.to_text());
    assert!(again.as_ref().is_ok_and(|again| same(again, &signed)), "{text:?}: {again:?}");
    if let Some(key) = &*KEY {
        assert!(signed.verify(key).is_err(), "{text:?}");
    }
}

/// Equal but for numbers that have no JSON text of their own.
fn same(a: &Signed, b: &Signed) -> bool {
    hash(a.unverified()) == hash(b.unverified()) && a.to_text() == b.to_text()
}

/// Values in user space, in three texts with NUL between: soul, key, stored value. Whatever enters an owned space that
/// signed nothing is the owner's public key, certificates or not; and what was let in reads the same without a check.
pub fn user_node(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut parts = text.splitn(3, '\0');
    let (Some(soul), Some(key), Some(value)) = (parts.next(), parts.next(), parts.next()) else {
        return;
    };
    let json = Json::parse(value).ok().and_then(|json| Value::from_json(&json).ok());
    let Some(state) = State::new(NOW - 5.0) else { return };
    // The owner's place is hard to guess.
    let (soul, key) = (soul.replace("PUB", PUBLIC).into(), key.into());
    let texts = Value::Text(value.replace("PUB", PUBLIC).into());
    for value in [Some(texts), json].into_iter().flatten() {
        let put = Put { soul: &soul, key: &key, value: &value, state };
        for rules in [UserSpace::default(), UserSpace::default().with_certificates()] {
            let Ok(Some(plain)) = rules.open(put, NOW) else { continue };
            assert_eq!(rules.plain(put), Some(plain), "of {text:?}");
            let Some(owner) = owner(&soul).filter(|_| !soul.starts_with("~@")) else { continue };
            let is_account_key = key == "pub" && value == Value::Text(owner.as_str().into());
            assert!(is_account_key, "{text:?} was let in");
        }
    }
}

/// Encrypted texts and account records: what is read prints to the same, and no key of nobody opens it.
pub fn encrypted(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(read) = Json::parse(text).ok().and_then(|json| Encrypted::from_json(&json).ok()) {
        assert_eq!(Encrypted::from_json(&read.to_json()), Ok(read.clone()), "of {text:?}");
        let _ = read.decrypt("key");
    }
    // With a salt a password costs time, so only what fails before it is tried often.
    if let Some(key) = KEY.as_ref().filter(|_| !text.contains("\"s\"")) {
        let account = Account { public: key.clone(), exchange: key.clone(), auth: text.into() };
        assert!(account.open("password").is_err(), "{text:?}");
    }
}

/// Keys: the text that is read is the text that is printed.
pub fn keys(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(key) = text.parse::<PublicKey>() {
        assert_eq!(key.to_string(), text);
    }
    if let Ok(keys) = KeyPair::from_texts(text, text) {
        assert_eq!(*keys.private_text(), text);
        assert_eq!(keys.public(), keys.exchange());
    }
}

/// Lists and segments from a put: only links of the own space and of the last ten minutes count, in order, and what
/// becomes a segment has a length that a playlist can have.
pub fn stream(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let text = text.replace("PUB", PUBLIC);
    let Some(delta) = Json::parse(&text).ok().and_then(|put| Delta::from_json(&put, 1000).ok())
    else {
        return;
    };
    let (Some(key), Ok(stream)) = (&*KEY, "hive/alice/s".parse()) else { return };
    let space = StreamSpace::new(key, &stream);
    let open = |put: Put<'_>| UserSpace::default().plain(put).or_else(|| Some(put.value.clone()));
    for node in &delta.nodes {
        let links = space.links(node, NOW, 0.0, open);
        assert!(links.is_sorted_by_key(|link| link.state), "{text:?}");
        for link in links {
            let age = NOW - link.state.millis();
            assert!((0.0..StreamSpace::EXPIRY_MS).contains(&age), "{text:?}");
            assert!(link.soul.starts_with(&format!("~{PUBLIC}/")), "{text:?}");
        }
        let Some(item) = Item::read(node, open) else { continue };
        assert!(Json::parse(&item.to_json().print()).is_ok(), "{text:?}");
        if let Some(live) = item.to_segment(State::ZERO) {
            assert_eq!(live.segment.duration.as_micros() % 1000, 0, "{text:?}");
        }
    }
}

/// Values of a node of parts, in texts with NUL between, key and value in turns: what is read of any of them is within its
/// limits, bounded in all, and written as what reads the same.
pub fn parts(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (Some(key), Ok(stream)) = (&*KEY, "hive/alice/s".parse()) else { return };
    let (space, Some(state)) = (PartSpace::new(key, &stream), State::new(NOW - 5.0)) else {
        return;
    };
    let texts: Vec<_> = text.split('\0').collect();
    let entries = texts.chunks_exact(2).filter_map(|pair| {
        let [key, value] = pair else { return None };
        Some(((*key).into(), Value::Text((*value).into()), state))
    });
    let node = NodeDelta { soul: space.soul().clone(), entries: entries.collect() };
    let mut held = HeldParts::default();
    for (_, part) in space.parts(&node, NOW, |put| Some(put.value.clone())) {
        assert_eq!(part.duration.as_micros() % 1000, 0, "{text:?}");
        assert!(part.section.is_none_or(|section| section.kind() == part.content.kind()));
        held.take(part);
        let value = Value::Text(PartSpace::written(&part).into());
        let entries = vec![(PartSpace::key(&part).into(), value, state)];
        let node = NodeDelta { soul: space.soul().clone(), entries };
        let again = space.parts(&node, NOW, |put| Some(put.value.clone()));
        assert_eq!(again, [(state, part)], "{text:?}");
    }
    assert!(held.len() <= HeldParts::MAX, "{text:?}");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CID: &str = "QmNoa96v5gCfnzsdEbzZtrJvuXH14hS8k8DPPUQbdJMy7i";

    /// Pieces of what the bodies read, in any order.
    fn pieces() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "SEA",
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"m\":",
            "\"s\":",
            "\"~\":",
            "\":\":",
            "\"*\":",
            "\"+\":",
            "\"#\":",
            "\"PUB\"",
            "~PUB",
            "~@a",
            "/",
            "<?600",
            "#",
            "\0",
            "pub",
            "5",
            "null",
            "\"x\"",
            "\"ct\":\"\"",
            "\"iv\":\"AAAAAAAAAAAAAAAA\"",
            "\"s\":\"AAAA\"",
            "\"PSj/k+2aGTWHYotp6b00XTFbBvchWozrGZdB2H8Md3GmeaiN4KixFqnuvnf78xNB6M3kcyK10sx7pyunR5VLMA==\"",
        ]);
        prop::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
    }

    /// A put whose nodes are nearly lists and segments.
    fn nearly_stream() -> impl Strategy<Value = String> {
        let soul = prop::sample::select(vec!["~PUB/hive/alice/s<?600", "~PUB/x", "y"]);
        let key = prop::sample::select(vec!["src", "len", "720", "k", "d"]);
        let value = prop::sample::select(vec![
            r##"{"#":"~PUB/x"}"##,
            r##"{"#":"y"}"##,
            "1",
            "9.9999",
            "100",
            "-1",
            "null",
            "CID",
        ]);
        let entry = (key, value, -1e6..1e4);
        (soul, prop::collection::vec(entry, 1..6)).prop_map(|(soul, entries)| {
            let states: Vec<_> =
                entries.iter().map(|(k, _, age)| format!("{k:?}:{}", NOW + age)).collect();
            let values: Vec<_> = entries.iter().map(|(k, v, _)| format!("{k:?}:{v}")).collect();
            let (states, values) = (states.join(","), values.join(","));
            format!(r##"{{{soul:?}:{{"_":{{"#":{soul:?},">":{{{states}}}}},{values}}}}}"##)
                .replace("CID", &format!("{CID:?}"))
        })
    }

    /// A key and a value of a part, or nearly so.
    fn nearly_part() -> impl Strategy<Value = String> {
        let quality = prop::sample::select(vec!["src", "480", "x"]);
        let length = "[0-9]{0,3}([.][0-9]{0,5})?";
        let id = prop::sample::select(vec![CID, "", "x"]);
        (0..4_u64, 0..300_u16, quality, length, "[i-]", id).prop_map(
            |(number, index, quality, length, flag, id)| {
                let slot = number % 3;
                let value = format!("{number},{index},{quality},{length},{flag},{id},{CID},{id}");
                format!("{slot}/{index}/{quality}\0{value}")
            },
        )
    }

    fn all(data: &[u8]) {
        signed_data(data);
        user_node(data);
        encrypted(data);
        keys(data);
        stream(data);
        parts(data);
    }

    proptest! {
        #[test]
        fn any_bytes(data: Vec<u8>) {
            all(&data);
        }

        #[test]
        fn any_text(text: String) {
            all(text.as_bytes());
        }

        #[test]
        fn pieces_of_what_is_read(text in pieces()) {
            all(text.as_bytes());
        }

        #[test]
        fn nearly_a_stream(text in nearly_stream()) {
            stream(text.as_bytes());
        }

        #[test]
        fn nearly_parts(entries in prop::collection::vec(nearly_part(), 1..9)) {
            parts(entries.join("\0").as_bytes());
        }

        #[test]
        fn nearly_a_key(text in "[A-Za-z0-9_-]{43}([.][A-Za-z0-9_-]{43})?") {
            keys(text.as_bytes());
        }
    }

    #[test]
    fn the_bodies_reach_what_they_are_about() {
        signed_data(format!("SEA{{\"m\":1e400,\"s\":\"{}==\"}}", "A".repeat(86)).as_bytes());
        user_node(b"~PUB\0pub\0PUB");
        keys(PUBLIC.as_bytes());
        encrypted(br#"{"ct":"","iv":"AAAAAAAAAAAAAAAAAAAA","s":""}"#);
        parts(format!("1/3/src\0{},3,src,0.334,i,{CID},{CID},{CID},more", u64::MAX - 2).as_bytes());
        stream(br##"{"~PUB/hive/alice/s<?600":{"_":{"#":"~PUB/hive/alice/s<?600",">":{"k":1795219499999}},"k":"{\":\":{\"#\":\"~PUB/x\"},\"~\":\"x\"}"}}"##);
    }
}
