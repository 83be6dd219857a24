//! Bodies of the fuzz targets of what strangers send to the API.

use super::validate;
use crate::{
    json::Json,
    token::{Claims, LoginMessage, Secret},
};

/// Bodies of requests: what is accepted is a stream whose name reads as the same, and nothing panics.
pub fn body(data: &[u8]) {
    let Some(body) = std::str::from_utf8(data).ok().and_then(|text| Json::parse(text).ok()) else {
        return;
    };
    if let Ok((stream, _)) = validate::stream(&body) {
        assert_eq!(stream.to_string().parse().as_ref(), Ok(&stream));
    }
    for value in [Some(&body), body.member("id"), body.member("key")] {
        let _ = (validate::user_id(value), validate::key(value, "Key"), validate::segment(value));
        if let Ok(name) = validate::username(value) {
            assert!((3..=16).contains(&name.as_str().len()), "{name}");
        }
    }
}

/// Messages and tokens: a message that is read has the seven parts that it was written with, and no token that we did
/// not make counts.
pub fn token(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(message) = LoginMessage::parse(text, "alivedb_login") {
        let LoginMessage { user, link, block_num, block_id, signature, .. } = &message;
        let parts: Vec<_> = text.split(':').collect();
        assert_eq!(parts.len(), 7, "{text:?}");
        assert_eq!(parts.first(), Some(&user.as_str()), "{text:?}");
        assert_eq!(parts.get(1), Some(&link.as_str()), "{text:?}");
        assert_eq!(parts.get(4).and_then(|num| num.parse().ok()), Some(*block_num), "{text:?}");
        assert_eq!(parts.get(5), Some(&&**block_id), "{text:?}");
        assert_eq!(parts.get(6), Some(&&**signature), "{text:?}");
    }
    if let Some(secret) = Secret::new(&[7; 32]) {
        assert!(Claims::verify(text, &secret, "alivedb_login", 0.0).is_err(), "{text:?}");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes(data: Vec<u8>) {
            body(&data);
            token(&data);
        }

        #[test]
        fn nearly_a_body(name in "[a-zA-Z0-9.-]{0,18}", link in "[a-zA-Z0-9_ -]{0,52}", len: f64) {
            let cid = "QmNoa96v5gCfnzsdEbzZtrJvuXH14hS8k8DPPUQbdJMy7i";
            let text = format!(
                r#"{{"network":"hive","streamer":{name:?},"link":{link:?},"id":{name:?},"key":{link:?},"stream":{{"src":"{cid}","len":{len}}}}}"#
            );
            body(text.as_bytes());
        }

        #[test]
        fn nearly_a_message(parts in prop::collection::vec("(alice|s-1|alivedb_login|hive|[0-9]{1,25}|[0-9a-f]{1,9}|)", 5..9)) {
            token(parts.join(":").as_bytes());
            token(format!("alice:s-1:alivedb_login:hive:{}", parts.join(":")).as_bytes());
        }

        #[test]
        fn nearly_a_token(parts in prop::collection::vec("[A-Za-z0-9_-]{0,40}", 1..5)) {
            token(parts.join(".").as_bytes());
            token(format!("eyJhbGciOiJIUzI1NiJ9.{}", parts.join(".")).as_bytes());
        }
    }
}
