//! Where the chat lies in AliveDB: the names of its nodes.
//!
//! Source: `spec/alivedb.md`, section 8.1.

use alive_core::{LiveKey, backend::Digest};

use crate::{networks::Account, stream_chat::StreamChat};

const MESSAGES: &str = "alivedb_chat/";
const REQUESTS: &str = "alivedb_chat_request/";

impl StreamChat {
    /// The list of the messages: its keys are items, its values link to them.
    pub fn messages_soul(&self) -> String {
        format!("{MESSAGES}{}", self.path())
    }

    /// Whether an item of the list may have this name: a bare one, as GUN gives since 2020.1232, or one below the list, as
    /// GUN of early 2021 did. It says nothing about the item: a message counts by its signature.
    ///
    /// ```
    /// # use alive_chat::{Family, Networks, StreamChat};
    /// # use alive_hive::{GraphenePlain, is_account_name};
    /// # let networks = Networks::new([Family::new("hive".parse()?, GraphenePlain, is_account_name)])?;
    /// # let chat = StreamChat::new(networks, "hive/techcoderx/live-1".parse()?)?;
    /// assert!(chat.is_item_soul("mwpn9q28gX96a5ZVCar9"));
    /// assert!(chat.is_item_soul("alivedb_chat/hive/techcoderx/live-1/mwpn9q28gX96a5ZVCar9"));
    /// assert!(!chat.is_item_soul("alivedb_chat/hive/techcoderx/live-2/mwpn9q28gX96a5ZVCar9"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_item_soul(&self, soul: &str) -> bool {
        let below = soul.strip_prefix(MESSAGES).and_then(|rest| rest.strip_prefix(self.path()));
        let name = below.and_then(|rest| rest.strip_prefix('/')).unwrap_or(soul);
        let plain = name.bytes().all(|b| b.is_ascii_alphanumeric());
        plain && (1..=MAX_ITEM_NAME).contains(&name.len())
    }

    /// The node of an account's request.
    pub fn request_soul(&self, account: &Account) -> String {
        format!("{REQUESTS}{}/{account}", self.path())
    }

    /// Who asks in the node of this name; `None` when it is no request for this chat.
    pub fn requester(&self, soul: &str) -> Option<Account> {
        let rest = soul.strip_prefix(REQUESTS)?.strip_prefix(self.path())?.strip_prefix('/')?;
        let (network, name) = rest.split_once('/')?;
        self.networks().account(network, name).ok()
    }

    /// The node in a user space that a path of a [`Rule`](crate::Rule) stands for.
    pub fn rules_soul(&self, owner: &LiveKey, path: &str) -> String {
        format!("~{owner}/{}/{path}", self.path())
    }
}

/// Longest name of an item; GUN makes 20 to 24 characters.
const MAX_ITEM_NAME: usize = 64;

/// A digest as 64 lower-case hexadecimal digits.
pub(crate) fn hex(digest: &Digest) -> String {
    data_encoding::HEXLOWER.encode(digest)
}

/// Reads what [`hex`] writes.
pub(crate) fn read_hex(text: &str) -> Option<Digest> {
    data_encoding::HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use crate::fixtures::{STREAM, account, chat};

    #[test]
    fn requests_say_who_asks_and_for_which_chat() {
        let here = chat(STREAM);
        for who in ["hive/alice", "avalon/carol"] {
            let soul = here.request_soul(&account(who));
            assert_eq!(soul, format!("alivedb_chat_request/hive/techcoderx/live-1/{who}"));
            assert_eq!(here.requester(&soul), Some(account(who)));
            assert_eq!(chat("hive/techcoderx/live-10").requester(&soul), None);
        }
        for soul in [
            "alivedb_chat_request/hive/techcoderx/live-1/hive",
            "alivedb_chat_request/hive/techcoderx/live-1/hive/alice/x",
            "alivedb_chat_request/hive/techcoderx/live-1/hive/",
            "alivedb_chat_request/hive/techcoderx/live-1hive/alice",
            "",
        ] {
            assert_eq!(here.requester(soul), None, "{soul}");
        }
    }

    #[test]
    fn both_forms_of_items_count_and_no_other() {
        let here = chat(STREAM);
        assert_eq!(here.messages_soul(), "alivedb_chat/hive/techcoderx/live-1");
        for soul in [
            "",
            "~pub/x",
            "a/b",
            "alivedb_chat/hive/techcoderx/live-1/",
            "alivedb_chat/hive/techcoderx/live-1/a/b",
            &"a".repeat(65),
        ] {
            assert!(!here.is_item_soul(soul), "{soul}");
        }
    }
}
