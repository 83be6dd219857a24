//! Bodies of the fuzz targets: each takes any bytes and asserts what must hold of whatever is accepted.

use std::num::NonZeroUsize;

use alive_core::{
    StreamId,
    backend::{Digest, PublicKeyBytes, SignatureError, SignatureScheme},
};

use crate::{
    AccessRequest, ArchiveReader, ArchiveWriter, Family, KeySet, Message, Networks, SafeText,
    StreamChat,
};

/// A scheme that a fuzzer can please: the digest is a weak hash, and a signature of the form `kXX` is by the key XX.
#[derive(Debug)]
struct Weak;

impl SignatureScheme for Weak {
    fn digest(&self, message: &[u8]) -> Digest {
        let mut digest = [0; 32];
        for (at, byte) in message.iter().enumerate() {
            if let Some(place) = digest.get_mut(at % 32) {
                *place = u8::wrapping_mul(*place, 31).wrapping_add(*byte);
            }
        }
        digest
    }

    fn recover(&self, _: &Digest, signature: &str) -> Result<PublicKeyBytes, SignatureError> {
        let digits = signature.get(..3).and_then(|text| text.strip_prefix('k'));
        let key = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        key.map(|key| PublicKeyBytes([key; 33])).ok_or(SignatureError::Form("k and two digits"))
    }
}

/// Networks whose accounts a fuzzer can sign for.
#[expect(clippy::expect_used, reason = "the names are written here and tested")]
pub fn networks() -> Networks {
    let is_name = |name: &str| name.bytes().all(|b| b.is_ascii_lowercase());
    let network = |name: &str| name.parse().expect("a network's name");
    let networks = Networks::new([
        Family::new(network("hive"), Weak, is_name),
        Family::new(network("avalon"), Weak, is_name).with_recovery_id(),
    ]);
    networks.expect("two networks")
}

#[expect(clippy::expect_used, reason = "the name is written here and tested")]
fn chat() -> StreamChat {
    let id: StreamId = "hive/alice/live-1".parse().expect("a stream's name");
    StreamChat::new(networks(), id).expect("a stream of these networks")
}

/// Messages and requests as JSON: what is accepted prints to a text that reads as the same, and shows without acting.
pub fn message_json(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let chat = chat();
    let networks = chat.networks();
    if let Ok(message) = Message::from_json(networks, text) {
        let printed = message.to_string();
        assert_eq!(Message::from_json(networks, &printed).as_ref(), Ok(&message), "of {text:?}");
        let signed = chat.message_text(message.account(), message.time(), message.text());
        assert!(signed.ends_with("_hive/alice/live-1"), "not bound to the stream: {signed:?}");
        assert!(!SafeText(message.text()).to_string().contains(char::is_control));
    }
    if let Ok(alice) = networks.account("avalon", "alice")
        && let Ok(request) = AccessRequest::from_json(networks, alice.clone(), text)
    {
        let again = AccessRequest::from_json(networks, alice, &request.to_string());
        assert_eq!(again.as_ref(), Ok(&request), "of {text:?}");
    }
}

/// Archives: what is accepted is written to a file that reads as the same, and that is byte for byte the lines that
/// were not skipped, where their order was right.
pub fn archive(data: &[u8]) {
    let Some(verified) = read(data) else { return };
    let mut writer = ArchiveWriter::new(chat(), Vec::new());
    let in_order = verified.iter().is_sorted_by_key(|one| (one.signed().time(), *one.digest()));
    for message in &verified {
        assert!(writer.push(message).is_ok() || !in_order, "not written: {message:?}");
    }
    let Ok(written) = writer.finish() else { return };
    if in_order {
        let again = read(&written);
        assert_eq!(again.as_ref(), Some(&verified), "of {:?}", String::from_utf8_lossy(data));
        let is_line = |line: &&[u8]| data.split(|b| *b == b'\n').any(|one| one == *line);
        assert!(written.split(|b| *b == b'\n').all(|line| line.is_empty() || is_line(&line)));
    }
}

fn read(data: &[u8]) -> Option<Vec<crate::Verified<Message>>> {
    // The keys 0 to 127 are allowed.
    let keys: KeySet = (0..0x80).map(|key| PublicKeyBytes([key; 33])).collect();
    let mut reader = ArchiveReader::new(chat(), data).threads(NonZeroUsize::MIN);
    let mut verified = Vec::new();
    while let Some(line) = reader.next_line().ok()? {
        verified.extend(reader.judge(line, Some(&keys)));
    }
    Some(verified)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weak_scheme_lets_archives_through() {
        let archive = "{\"u\":\"alice\",\"n\":\"hive\",\"s\":\"k01\",\"t\":1,\"m\":\"a\"}\n";
        assert_eq!(read(archive.as_bytes()).map(|all| all.len()), Some(1));
        let other = archive.replace("k01", "kff");
        assert_eq!(read(other.as_bytes()).map(|all| all.len()), Some(0));
    }
}
