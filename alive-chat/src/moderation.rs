//! What the streamer and the moderators say: [`Rule`], [`Entry`], and the [`Rulebook`] that every reader keeps.

use std::collections::HashMap;

use alive_core::{LiveKey, backend::Digest};

use crate::{
    message::Message,
    moment::Moment,
    networks::{Account, Networks},
    rules::Standing,
    verified::Verified,
};

/// What an entry of a user space speaks of.
///
/// Source: `spec/alivedb.md`, sections 8.1 and 8.7; slow mode and words are ours, laid out alike.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// An account: 0 is banned, anything else approved.
    Participant(Account),
    /// A message, by its digest: 0 is hidden, anything else shown.
    Message(Digest),
    /// A moderator, by the key of his user space: 0 is revoked, anything else appointed. Only the streamer's counts.
    Moderator(LiveKey),
    /// The seconds that an account must leave between two messages from now on; 0 is none.
    SlowMode,
    /// A word that hides the messages it is in: 0 is taken back.
    Word(Box<str>),
}

impl Rule {
    /// Longest word of a filter, in characters.
    pub const MAX_WORD: usize = 64;

    /// Where the entry stands: the path below `~PUB/NETWORK/STREAMER/LINK/`, and the key.
    pub fn place(&self) -> (String, String) {
        match self {
            Self::Participant(account) => {
                (format!("participants/{}", account.network()), account.name().to_string())
            }
            Self::Message(digest) => ("moderation/messages".into(), crate::paths::hex(digest)),
            Self::Moderator(key) => ("moderators".into(), key.to_string()),
            Self::SlowMode => ("moderation/settings".into(), "slow".into()),
            Self::Word(word) => ("moderation/words".into(), word.to_string()),
        }
    }

    /// The rule of an entry at this place; `None` for what is no rule.
    pub fn at(networks: &Networks, path: &str, key: &str) -> Option<Self> {
        if let Some(network) = path.strip_prefix("participants/") {
            return networks.account(network, key).ok().map(Self::Participant);
        }
        match (path, key) {
            ("moderation/messages", _) => crate::paths::read_hex(key).map(Self::Message),
            ("moderators", _) => key.parse().ok().map(Self::Moderator),
            ("moderation/settings", "slow") => Some(Self::SlowMode),
            ("moderation/words", _) => {
                let fits = (1..=Self::MAX_WORD).contains(&key.chars().count());
                fits.then(|| Self::Word(key.into()))
            }
            _ => None,
        }
    }
}

/// One entry of a user space. The transport has checked that the space's owner signed it.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "an entry of GUN has an owner, a place, a value and a state"
)]
pub struct Entry {
    /// Whose space it is in.
    pub author: LiveKey,
    /// What it speaks of.
    pub rule: Rule,
    /// What it says.
    pub value: f64,
    /// When, by the clock of its author.
    pub state: Moment,
}

/// All rules of a chat: the streamer's and those of the moderators, the newest of each place.
///
/// The order in which entries come does not matter, but for one thing: entries of somebody who is no moderator are not
/// kept, so ask for a moderator's space once [`moderators`](Self::moderators) names him. The streamer's own entry comes
/// before those of moderators; among those a ban or a hiding wins; the entries of the revoked do not count. Source:
/// `spec/alivedb.md`, section 8.7.
///
/// ```
/// # use alive_chat::{Family, Networks, Moment};
/// # use alive_hive::{GraphenePlain, is_account_name};
/// # let networks = Networks::new([Family::new("hive".parse()?, GraphenePlain, is_account_name)])?;
/// use alive_chat::{Entry, Rule, Rulebook, Standing};
/// let (streamer, alice) = (networks.account("hive", "techcoderx")?, networks.account("hive", "alice")?);
/// let mut rules = Rulebook::new(streamer, "streamers.key".parse()?);
/// let (author, state) = ("streamers.key".parse()?, Moment::EPOCH);
/// rules.apply(Entry { author, rule: Rule::Participant(alice.clone()), value: 1.0, state });
/// assert_eq!(rules.standing(&alice), Standing::Approved);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Rulebook {
    streamer: Account,
    streamer_key: LiveKey,
    spaces: HashMap<LiveKey, Space>,
    /// The words that count now, and each as it is looked for.
    words: Vec<(Box<str>, String)>,
}

type Space = HashMap<Rule, (f64, Moment)>;

impl Rulebook {
    /// Most moderators that were ever appointed. Our own limit.
    pub const MAX_MODERATORS: usize = 256;
    /// Most entries of one space. Our own limit.
    pub const MAX_ENTRIES: usize = 100_000;
    /// Most words of one space. Our own limit: each is looked for in every message.
    pub const MAX_WORDS: usize = 1000;

    /// No rules yet. The streamer's key is the one that the stream names on the chain.
    pub fn new(streamer: Account, streamer_key: LiveKey) -> Self {
        Self { streamer, streamer_key, spaces: HashMap::new(), words: Vec::new() }
    }

    /// Takes an entry; whether anything changed.
    pub fn apply(&mut self, entry: Entry) -> bool {
        let Entry { author, rule, value, state } = entry;
        let is_streamer = author == self.streamer_key;
        if !value.is_finite() || !is_streamer && self.appointment(&author).is_none() {
            return false;
        }
        if matches!(rule, Rule::Moderator(_)) && !is_streamer {
            return false;
        }
        let space = self.spaces.entry(author).or_default();
        if !space.contains_key(&rule) && !has_room(space, &rule) {
            return false;
        }
        let text = |value: f64| ryu_js::Buffer::new().format_finite(value).to_owned();
        match space.get(&rule) {
            // Of two at one moment GUN keeps the one whose text is greater.
            Some((old, at)) if (*at, text(*old)) >= (state, text(value)) => false,
            _ => {
                let is_about_words = matches!(rule, Rule::Word(_) | Rule::Moderator(_));
                space.insert(rule, (value, state));
                if is_about_words {
                    self.words = self.current_words();
                }
                true
            }
        }
    }

    /// The moderators that are appointed now.
    pub fn moderators(&self) -> impl Iterator<Item = &LiveKey> {
        let own = self.spaces.get(&self.streamer_key).into_iter().flatten();
        own.filter_map(|(rule, (value, _))| match rule {
            Rule::Moderator(key) if *value != 0.0 => Some(key),
            _ => None,
        })
    }

    /// What is said about an account. The streamer always takes part.
    pub fn standing(&self, account: &Account) -> Standing {
        if account == &self.streamer {
            return Standing::Approved;
        }
        Standing::from_entry(self.effective(&Rule::Participant(account.clone())))
    }

    /// Since when an account is banned, if it is.
    pub fn banned_since(&self, account: &Account) -> Option<Moment> {
        let rule = Rule::Participant(account.clone());
        if account == &self.streamer {
            return None;
        }
        if let Some((value, since)) = self.spaces.get(&self.streamer_key)?.get(&rule) {
            return (*value == 0.0).then_some(*since);
        }
        let said = self.moderator_spaces().filter_map(|space| space.get(&rule));
        said.filter(|(value, _)| *value == 0.0).map(|(_, since)| *since).min()
    }

    /// Whether a message is hidden.
    pub fn is_hidden(&self, digest: &Digest) -> bool {
        self.effective(&Rule::Message(*digest)) == Some(0.0)
    }

    /// The pause of slow mode in milliseconds, and from when on it holds. The streamer's word, else the slowest of the
    /// moderators'.
    pub fn slow_mode(&self) -> Option<(f64, Moment)> {
        let own = self.spaces.get(&self.streamer_key).and_then(|space| space.get(&Rule::SlowMode));
        let said = own.copied().or_else(|| {
            let said = self.moderator_spaces().filter_map(|space| space.get(&Rule::SlowMode));
            said.copied().max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)))
        });
        said.filter(|(seconds, _)| *seconds > 0.0).map(|(seconds, from)| (seconds * 1000.0, from))
    }

    /// The words that hide messages now.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(|(word, _)| &**word)
    }

    /// The first filtered word that a text has. Case does not matter, nor do characters that cannot be seen.
    pub fn filtered_word(&self, text: &str) -> Option<&str> {
        if self.words.is_empty() {
            return None;
        }
        let plain = crate::safe_text::searchable(text);
        self.words.iter().find(|(_, sought)| has_word(&plain, sought)).map(|(word, _)| &**word)
    }

    /// Whether a message may be shown, slow mode aside.
    ///
    /// # Errors
    /// It may not, and why.
    pub fn verdict(&self, message: &Verified<Message>) -> Result<(), Hidden> {
        let signed = message.signed();
        if self.standing(signed.account()) == Standing::Banned {
            return Err(Hidden::Banned);
        }
        self.hides(signed, message.digest()).map_or(Ok(()), Err)
    }

    /// Why a message is hidden, whatever is said about its sender.
    pub(crate) fn hides(&self, message: &Message, digest: &Digest) -> Option<Hidden> {
        if self.is_hidden(digest) {
            return Some(Hidden::ByHand);
        }
        let is_filtered =
            message.account() != &self.streamer && self.filtered_word(message.text()).is_some();
        is_filtered.then_some(Hidden::Word)
    }

    /// The streamer.
    pub fn streamer(&self) -> &Account {
        &self.streamer
    }

    fn appointment(&self, key: &LiveKey) -> Option<f64> {
        let own = self.spaces.get(&self.streamer_key)?;
        own.get(&Rule::Moderator(key.clone())).map(|(value, _)| *value)
    }

    fn moderator_spaces(&self) -> impl Iterator<Item = &Space> {
        self.moderators().filter_map(|key| self.spaces.get(key))
    }

    /// The value that counts: the streamer's own; else 0 if a moderator says so; else what one says.
    fn effective(&self, rule: &Rule) -> Option<f64> {
        let value = |space: &Space| space.get(rule).map(|(value, _)| *value);
        if let Some(own) = self.spaces.get(&self.streamer_key).and_then(value) {
            return Some(own);
        }
        let mut said = None;
        for value in self.moderator_spaces().filter_map(value) {
            if value == 0.0 {
                return Some(0.0);
            }
            said = Some(value);
        }
        said
    }

    fn current_words(&self) -> Vec<(Box<str>, String)> {
        let own = self.spaces.get(&self.streamer_key);
        let all = own.into_iter().chain(self.moderator_spaces()).flat_map(|space| space.iter());
        // The streamer takes back what a moderator filters.
        let taken_back = |rule| own.and_then(|own| own.get(rule)).is_some_and(|own| own.0 == 0.0);
        let mut words: Vec<_> = all
            .filter_map(|(rule, (value, _))| match rule {
                Rule::Word(word) if *value != 0.0 && !taken_back(rule) => {
                    Some((word.clone(), crate::safe_text::searchable(word)))
                }
                _ => None,
            })
            .collect();
        words.sort_unstable();
        words.dedup();
        words
    }
}

fn has_room(space: &Space, rule: &Rule) -> bool {
    let count = |is: fn(&Rule) -> bool| space.keys().filter(|rule| is(rule)).count();
    space.len() < Rulebook::MAX_ENTRIES
        && match rule {
            Rule::Moderator(_) => {
                count(|rule| matches!(rule, Rule::Moderator(_))) < Rulebook::MAX_MODERATORS
            }
            Rule::Word(_) => count(|rule| matches!(rule, Rule::Word(_))) < Rulebook::MAX_WORDS,
            _ => true,
        }
}

/// Whether the word stands in the text, and not only as a part of a longer one.
fn has_word(text: &str, word: &str) -> bool {
    let is_letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    !word.is_empty()
        && text.match_indices(word).any(|(at, _)| {
            let before = text.get(..at).and_then(|before| before.chars().next_back());
            let after = text.get(at + word.len()..).and_then(|after| after.chars().next());
            !is_letter(before) && !is_letter(after)
        })
}

/// Why a message of a room is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Hidden {
    /// Its sender is banned.
    #[error("its sender is banned")]
    Banned,
    /// The streamer or a moderator hid it.
    #[error("hidden by the streamer or a moderator")]
    ByHand,
    /// It came too soon after the one before, by slow mode.
    #[error("too soon after the message before, by slow mode")]
    Slow,
    /// It has a filtered word.
    #[error("it has a filtered word")]
    Word,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures::{account, ms, networks, verified};

    fn entry(author: &str, rule: Rule, value: f64, state: f64) -> Entry {
        Entry { author: author.parse().unwrap(), rule, value, state: ms(state) }
    }

    fn book() -> Rulebook {
        Rulebook::new(account("hive/techcoderx"), "streamer".parse().unwrap())
    }

    fn alice() -> Rule {
        Rule::Participant(account("hive/alice"))
    }

    fn moderator(key: &str) -> Rule {
        Rule::Moderator(key.parse().unwrap())
    }

    #[test]
    fn moderators_count_while_they_are_appointed_and_below_the_streamer() {
        let mut book = book();
        let alice_is = |book: &Rulebook| book.standing(&account("hive/alice"));
        assert!(!book.apply(entry("mod1", alice(), 0.0, 1.0)), "not appointed");
        for key in ["mod1", "mod2"] {
            assert!(book.apply(entry("streamer", moderator(key), 1.0, 1.0)));
        }
        book.apply(entry("mod1", alice(), 1.0, 2.0));
        assert_eq!(alice_is(&book), Standing::Approved);
        book.apply(entry("mod2", alice(), 0.0, 1.0));
        assert_eq!(alice_is(&book), Standing::Banned, "among moderators a ban wins");
        assert!(!book.apply(entry("mod1", moderator("mod3"), 1.0, 3.0)), "moderators appoint none");
        book.apply(entry("streamer", moderator("mod2"), 0.0, 4.0));
        assert_eq!(alice_is(&book), Standing::Approved, "the revoked do not count");
        book.apply(entry("streamer", alice(), 0.0, 5.0));
        assert_eq!(alice_is(&book), Standing::Banned, "the streamer's word comes first");
        book.apply(entry("streamer", alice(), 1.0, 4.9));
        assert_eq!(alice_is(&book), Standing::Banned, "and the newest of it");
    }

    #[test]
    fn the_streamer_cannot_be_banned() {
        let mut book = book();
        book.apply(entry("streamer", moderator("mod1"), 1.0, 1.0));
        let streamer = Rule::Participant(account("hive/techcoderx"));
        book.apply(entry("mod1", streamer, 0.0, 2.0));
        assert_eq!(book.standing(&account("hive/techcoderx")), Standing::Approved);
    }

    #[test]
    fn words_hide_whole_words_however_they_are_written() {
        let mut book = book();
        book.apply(entry("streamer", moderator("mod1"), 1.0, 1.0));
        book.apply(entry("mod1", Rule::Word("Spam".into()), 1.0, 1.0));
        for text in ["buy SPAM now", "spam", "sp\u{200b}am!", "(spam)"] {
            assert_eq!(
                book.verdict(&verified("hive/alice", 5.0, text)),
                Err(Hidden::Word),
                "{text}"
            );
        }
        assert_eq!(book.verdict(&verified("hive/alice", 5.0, "spammer")), Ok(()));
        assert_eq!(book.verdict(&verified("hive/techcoderx", 5.0, "spam")), Ok(()));
        book.apply(entry("streamer", Rule::Word("Spam".into()), 0.0, 1.0));
        assert_eq!(book.verdict(&verified("hive/alice", 5.0, "spam")), Ok(()));
    }

    #[test]
    fn numbers_of_moderators_and_words_are_bounded() {
        let mut book = book();
        for n in 0..=Rulebook::MAX_MODERATORS {
            let applied = book.apply(entry("streamer", moderator(&format!("m{n}")), 1.0, 1.0));
            assert_eq!(applied, n < Rulebook::MAX_MODERATORS);
        }
        for n in 0..=Rulebook::MAX_WORDS {
            let word = Rule::Word(format!("w{n}").into());
            assert_eq!(book.apply(entry("streamer", word, 1.0, 1.0)), n < Rulebook::MAX_WORDS);
        }
    }

    #[test]
    fn every_rule_is_found_where_it_stands() {
        let rules = [
            alice(),
            Rule::Message([0xab; 32]),
            moderator("a.b"),
            Rule::SlowMode,
            Rule::Word("é!".into()),
        ];
        for rule in rules {
            let (path, key) = rule.place();
            assert_eq!(Rule::at(&networks(), &path, &key), Some(rule));
        }
        assert_eq!(alice().place(), ("participants/hive".to_owned(), "alice".to_owned()));
        for (path, key) in [
            ("participants/nostr", "alice"),
            ("participants/hive", "A"),
            ("moderation/messages", "AB"),
            ("moderation/words", ""),
            ("other", "x"),
        ] {
            assert_eq!(Rule::at(&networks(), path, key), None, "{path} {key}");
        }
    }

    proptest! {
        #[test]
        fn the_order_of_entries_does_not_matter(
            values in proptest::collection::vec((0..3_u8, 0..4_u8, 0..4_u8), 0..30),
            seed in any::<u64>(),
        ) {
            let appointed = |book: &mut Rulebook| {
                for key in ["mod1", "mod2"] {
                    book.apply(entry("streamer", moderator(key), 1.0, 0.5));
                }
            };
            let entries: Vec<Entry> = values.iter().map(|(author, value, state)| {
                let author = ["streamer", "mod1", "mod2"][usize::from(*author)];
                entry(author, alice(), f64::from(*value), f64::from(*state))
            }).collect();
            let (mut one, mut two) = (book(), book());
            appointed(&mut one);
            appointed(&mut two);
            let mut shuffled = entries.clone();
            let len = shuffled.len().max(1);
            for at in 0..shuffled.len() {
                let other = usize::try_from((seed >> (at % 32)) % len as u64).unwrap();
                shuffled.swap(at, other);
            }
            for (a, b) in entries.into_iter().zip(shuffled) {
                one.apply(a);
                two.apply(b);
            }
            prop_assert_eq!(one.spaces, two.spaces);
        }
    }
}
