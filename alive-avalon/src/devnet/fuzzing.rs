//! What fuzz targets and their stable twins run.

use super::{Devnet, DevnetConfig};

/// Answers any request: the first line is the path, the rest the body. The node still makes blocks after it.
///
/// # Panics
/// When that does not hold.
pub fn request(data: &[u8]) {
    let config = DevnetConfig::default().by_hand().controllable();
    let Ok(mut chain) = Devnet::open(config, 1_700_000_000_000) else { return };
    let (path, body) = match data.iter().position(|byte| *byte == b'\n') {
        Some(at) => data.split_at(at),
        None => (data, &[][..]),
    };
    let path = String::from_utf8_lossy(path);
    for method in ["GET", "POST"] {
        let answer = chain.respond(method, &path, true, body, 1_700_000_000_000);
        assert!((200..600).contains(&answer.status));
        if answer.content_type.starts_with("application/json") {
            assert!(crate::JsonText::of(&answer.body).is_ok(), "{}", answer.body);
        }
    }
    let head = chain.head().num();
    assert_eq!(chain.produce_block(1_700_000_003_000).ok(), Some(head + 1));
}
