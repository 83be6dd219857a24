//! Which messages an archive takes: [`ArchiveFilter`].

use std::collections::{HashMap, HashSet};

use alive_core::{AccountName, Network, backend::Digest};

use crate::{
    message::Message,
    moderation::{Hidden, Rulebook},
    moment::Moment,
    networks::Account,
    rules::Standing,
    verified::Verified,
};

/// Decides, in the order of an archive, which messages it takes: those of who takes part, not what is hidden by hand, by a
/// word or by slow mode; of the banned nothing, or what they said before.
///
/// ```
/// # use alive_chat::{Family, Networks, Rulebook, Message, Moment, StreamChat};
/// # use alive_hive::{GraphenePlain, is_account_name};
/// # let networks = Networks::new([Family::new("hive".parse()?, GraphenePlain, is_account_name)])?;
/// # let chat = StreamChat::new(networks.clone(), "hive/techcoderx/live-1".parse()?)?;
/// use alive_chat::{ArchiveFilter, Entry, Rule};
/// let mut rules = Rulebook::new(chat.streamer().clone(), "streamers.key".parse()?);
/// let (author, rule) = ("streamers.key".parse()?, Rule::Participant(networks.account("hive", "alice")?));
/// rules.apply(Entry { author, rule, value: 1.0, state: Moment::EPOCH });
/// let filter = ArchiveFilter::new(rules, false);
/// for (name, takes_part) in [("alice", true), ("carol", false)] {
///     let json = format!(r#"{{"u":"{name}","n":"hive","s":"1f","t":5,"m":"hello"}}"#);
///     let message = Message::from_json(&networks, &json)?;
///     assert_eq!(filter.may_take(&message, &chat.digest(&message)?), takes_part);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ArchiveFilter {
    rules: Rulebook,
    keep_banned: bool,
    blacklist: HashSet<AccountName>,
    /// When each account last said something that is shown. As many as the rules approve.
    last_shown: HashMap<Account, Moment>,
}

impl ArchiveFilter {
    /// A filter by these rules, as they stand at the end. `keep_banned` keeps what banned accounts said before their ban.
    pub fn new(rules: Rulebook, keep_banned: bool) -> Self {
        Self { rules, keep_banned, blacklist: HashSet::new(), last_shown: HashMap::new() }
    }

    /// Leaves out the accounts of Hive on the blacklists that the streamer follows.
    #[must_use]
    pub fn blacklist(self, names: impl IntoIterator<Item = AccountName>) -> Self {
        Self { blacklist: names.into_iter().collect(), ..self }
    }

    /// Whether a message is taken if its signature is good and slow mode lets it pass: what can be told before the
    /// signature is looked at.
    pub fn may_take(&self, message: &Message, digest: &Digest) -> bool {
        let account = message.account();
        match self.rules.standing(account) {
            Standing::Approved if self.is_blacklisted(account) => return false,
            Standing::Approved => {}
            Standing::Banned => {
                let is_before =
                    self.rules.banned_since(account).is_some_and(|since| message.time() < since);
                if !(self.keep_banned && is_before) {
                    return false;
                }
            }
            Standing::Unknown => return false,
        }
        !matches!(self.rules.hides(message, digest), Some(Hidden::ByHand | Hidden::Word))
    }

    /// Whether a message is taken. Messages come in the order of an archive, each once.
    pub fn takes(&mut self, message: &Verified<Message>) -> bool {
        let (signed, digest) = (message.signed(), message.digest());
        if !self.may_take(signed, digest) {
            return false;
        }
        let (account, time) = (signed.account(), signed.time());
        if self.rules.standing(account) == Standing::Banned {
            // Nobody sees it, so it makes nobody wait.
            return true;
        }
        if let Some((pause, since)) = self.rules.slow_mode()
            && account != self.rules.streamer()
            && time >= since
            && self.last_shown.get(account).is_some_and(|last| time.since(*last) < pause)
        {
            return false;
        }
        self.last_shown.insert(account.clone(), time);
        true
    }

    fn is_blacklisted(&self, account: &Account) -> bool {
        account.network() == &Network::hive() && self.blacklist.contains(account.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fixtures::{account, ms, verified},
        moderation::{Entry, Rule},
    };

    fn filter(rules: &[(Rule, f64, f64)], keep_banned: bool) -> ArchiveFilter {
        let mut book = Rulebook::new(account("hive/techcoderx"), "streamer".parse().unwrap());
        for (rule, value, state) in rules {
            let author = "streamer".parse().unwrap();
            let state = ms(*state);
            assert!(book.apply(Entry { author, rule: rule.clone(), value: *value, state }));
        }
        ArchiveFilter::new(book, keep_banned)
    }

    fn alice(value: f64, state: f64) -> (Rule, f64, f64) {
        (Rule::Participant(account("hive/alice")), value, state)
    }

    #[test]
    fn only_who_takes_part_is_taken() {
        let mut filter = filter(&[alice(1.0, 1.0)], true);
        assert!(filter.takes(&verified("hive/alice", 5.0, "a")));
        assert!(filter.takes(&verified("hive/techcoderx", 5.0, "the streamer")));
        assert!(!filter.takes(&verified("hive/bobby", 5.0, "nobody approved him")));
        let mut filter =
            filter.blacklist(["alice".parse().unwrap(), "techcoderx".parse().unwrap()]);
        assert!(!filter.takes(&verified("hive/alice", 6.0, "a")));
    }

    #[test]
    fn of_the_banned_only_what_was_before_and_not_hidden_is_kept() {
        let before = verified("hive/alice", 5.0, "before");
        let hidden = verified("hive/alice", 6.0, "hidden");
        let after = verified("hive/alice", 7.0, "after");
        let rules = [alice(0.0, 7.0), (Rule::Message(*hidden.digest()), 0.0, 8.0)];
        for (keep, want) in [(false, [false; 3]), (true, [true, false, false])] {
            let mut filter = filter(&rules, keep);
            let got = [&before, &hidden, &after].map(|message| filter.takes(message));
            assert_eq!(got, want, "keep: {keep}");
        }
    }

    #[test]
    fn slow_mode_words_and_hands_hide() {
        let hidden = verified("hive/alice", 11_000.0, "by hand");
        let rules = [
            alice(1.0, 1.0),
            (Rule::SlowMode, 5.0, 10_000.0),
            (Rule::Word("spam".into()), 1.0, 1.0),
            (Rule::Message(*hidden.digest()), 0.0, 1.0),
        ];
        let mut filter = filter(&rules, false);
        let mut takes = |time: f64, text: &str| filter.takes(&verified("hive/alice", time, text));
        assert!(takes(9_000.0, "a") && takes(9_001.0, "slow mode has not begun"));
        assert!(!takes(10_000.0, "too soon after the last of before"));
        assert!(!takes(11_000.0, "by hand"));
        assert!(!takes(14_001.0, "spam does not count as said"));
        assert!(takes(14_001.0, "five seconds later"));
        assert!(!takes(19_000.999, "too soon"));
        assert!(takes(19_001.0, "what was too soon does not count as said"));
        for time in [1.0, 2.0, 20_000.0, 20_001.0] {
            assert!(filter.takes(&verified("hive/techcoderx", time, "spam")), "the streamer");
        }
    }
}
