//! Properties of what strangers send: any bytes, and bytes near to what is right.
#![cfg(test)]

use alive_chat::fuzzing;
use proptest::prelude::*;

/// A line of an archive, often right.
fn line() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        "[a-z ]{1,6}",
        Just("\\n".to_owned()),
        Just("\\ud800".to_owned()),
        Just("\u{202e}é".to_owned()),
        Just("\\/".to_owned()),
    ];
    let time =
        prop_oneof![Just("1"), Just("2"), Just("2.5"), Just("1e+21"), Just("0"), Just("1.0")];
    let sender = prop_oneof![
        Just(("alice", "hive", "")),
        Just(("carol", "avalon", ",\"r\":1")),
        Just(("carol", "avalon", "")),
        Just(("al_ice", "hive", "")),
        Just(("x", "nostr", "")),
    ];
    (sender, 0..=255_u8, time, text).prop_map(|((user, network, id), key, time, text)| {
        format!(r#"{{"u":"{user}","n":"{network}","s":"k{key:02x}"{id},"t":{time},"m":"{text}"}}"#)
    })
}

proptest! {
    #[test]
    fn any_bytes_are_handled(data: Vec<u8>) {
        fuzzing::message_json(&data);
        fuzzing::archive(&data);
    }

    #[test]
    fn near_messages_are_handled(line in line(), cut in 0..200_usize, with: char) {
        fuzzing::message_json(line.as_bytes());
        let mut other: Vec<char> = line.chars().collect();
        let cut = cut % other.len();
        other[cut] = with;
        fuzzing::message_json(other.into_iter().collect::<String>().as_bytes());
    }

    #[test]
    fn near_archives_are_handled(lines in proptest::collection::vec(line(), 0..12), sort: bool) {
        let mut lines = lines;
        if sort {
            lines.sort_by_key(|line| line.split("\"t\":").nth(1).map(str::to_owned));
        }
        let archive: Vec<u8> = lines.iter().flat_map(|line| [line.as_bytes(), b"\n"].concat()).collect();
        fuzzing::archive(&archive);
        fuzzing::archive(archive.strip_suffix(b"\n").unwrap_or(&archive));
    }
}
