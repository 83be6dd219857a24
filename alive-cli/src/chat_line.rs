//! What a person types in a chat: [`Line`].

use alive_chat::{Account, Rule, StreamChat};
use alive_core::{LiveKey, backend::Digest};
use anyhow::{Context as _, bail, ensure};

use crate::chat::account;

/// One line of input, understood.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Line {
    /// Who waits for approval.
    Applicants,
    /// The last messages once more.
    Back(usize),
    /// Nothing was said.
    Empty,
    /// What can be typed.
    Help,
    /// Hides or shows the message whose digest starts so.
    Message { start: String, value: f64 },
    /// The end.
    Quit,
    /// Something that the streamer or a moderator says.
    Rule { rule: Rule, value: f64 },
    /// The rules of a kind as they stand.
    Rules(Kind),
    /// A message.
    Say(String),
}

/// A kind of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Moderators,
    Words,
}

/// What can be typed.
pub(crate) const HELP: &str = "\
/approve ACCOUNT      lets an account write (ACCOUNT is alice, or hive/alice for another network)
/back [N]             shows the last N messages again
/ban ACCOUNT          keeps an account from writing and hides what it said
/help                 shows this
/hide ID              hides a message by the first letters of its id
/mods [add|remove KEY] lists, appoints or dismisses moderators by their AliveDB keys
/quit                 leaves
/show ID              shows a hidden message again
/slow SECONDS         sets the pause between two messages of an account; 0 ends it
/unban ACCOUNT        lets a banned account write again
/who                  lists who waits for approval
/words [add|remove WORD] lists, adds or removes words that hide a message
//TEXT                says /TEXT";

/// Fewest letters of an id that name a message.
const MIN_ID: usize = 4;
/// How many messages `/back` shows unless told otherwise.
const BACK: usize = 20;

impl Line {
    /// Understands a line.
    pub(crate) fn read(chat: &StreamChat, text: &str) -> anyhow::Result<Self> {
        let text = text.trim_end_matches(['\r', '\n']);
        let Some(command) = text.strip_prefix('/') else {
            let is_empty = text.trim().is_empty();
            return Ok(if is_empty { Self::Empty } else { Self::Say(text.to_owned()) });
        };
        if command.starts_with('/') {
            return Ok(Self::Say(command.to_owned()));
        }
        let mut words = command.split_whitespace();
        let name = words.next().unwrap_or_default();
        let (first, second) = (words.next(), words.next());
        ensure!(words.next().is_none(), "too many words for /{name}; see /help");
        let one = || first.filter(|_| second.is_none()).context("it takes one word; see /help");
        Ok(match name {
            "approve" | "unban" => participant(chat, one()?, 1.0)?,
            "ban" => participant(chat, one()?, 0.0)?,
            "back" => {
                let count = first.map(str::parse).transpose().context("a number")?;
                Self::Back(count.unwrap_or(BACK))
            }
            "help" => Self::Help,
            "hide" => message(one()?, 0.0)?,
            "show" => message(one()?, 1.0)?,
            "slow" => {
                let seconds: f64 = one()?.parse().context("seconds")?;
                ensure!(seconds.is_finite() && seconds >= 0.0, "seconds, 0 or more");
                Self::Rule { rule: Rule::SlowMode, value: seconds }
            }
            "mods" => match (first, second) {
                (None, _) => Self::Rules(Kind::Moderators),
                (Some(how), Some(key)) => {
                    let key: LiveKey = key.parse()?;
                    Self::Rule { rule: Rule::Moderator(key), value: added(how)? }
                }
                _ => bail!("/mods, or /mods add KEY, or /mods remove KEY"),
            },
            "words" => match (first, second) {
                (None, _) => Self::Rules(Kind::Words),
                (Some(how), Some(word)) => {
                    let len = word.chars().count();
                    ensure!(len <= Rule::MAX_WORD, "{len} letters, {} at most", Rule::MAX_WORD);
                    Self::Rule { rule: Rule::Word(word.into()), value: added(how)? }
                }
                _ => bail!("/words, or /words add WORD, or /words remove WORD"),
            },
            "who" => Self::Applicants,
            "quit" => Self::Quit,
            _ => bail!("no such command; see /help"),
        })
    }
}

fn participant(chat: &StreamChat, text: &str, value: f64) -> anyhow::Result<Line> {
    let account: Account = account(chat, text)?;
    ensure!(value != 0.0 || &account != chat.streamer(), "the streamer cannot be banned");
    Ok(Line::Rule { rule: Rule::Participant(account), value })
}

fn message(start: &str, value: f64) -> anyhow::Result<Line> {
    let is_hex = start.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    ensure!(is_hex && start.len() >= MIN_ID, "an id is {MIN_ID} or more letters 0-9, a-f");
    Ok(Line::Message { start: start.to_owned(), value })
}

fn added(how: &str) -> anyhow::Result<f64> {
    match how {
        "add" => Ok(1.0),
        "remove" => Ok(0.0),
        _ => bail!("add or remove"),
    }
}

/// The one digest that starts so.
pub(crate) fn find_digest<'d>(
    digests: impl IntoIterator<Item = &'d Digest>,
    start: &str,
) -> anyhow::Result<Digest> {
    let mut found: Vec<_> =
        digests.into_iter().filter(|digest| hex(digest).starts_with(start)).collect();
    found.sort_unstable();
    found.dedup();
    match found.as_slice() {
        [digest] => Ok(**digest),
        [] => bail!("no message {start}"),
        _ => bail!("{} messages start with {start}; give more letters", found.len()),
    }
}

/// A digest as its message is named: in hexadecimal digits.
pub(crate) fn hex(digest: &Digest) -> String {
    use std::fmt::Write as _;
    digest.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing into a text does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::chat_networks::networks;

    fn chat() -> StreamChat {
        StreamChat::new(networks(), "hive/techcoderx/live-1".parse().unwrap()).unwrap()
    }

    fn who(network: &str, name: &str) -> Rule {
        Rule::Participant(networks().account(network, name).unwrap())
    }

    #[rstest]
    #[case("", Line::Empty)]
    #[case("  \r\n", Line::Empty)]
    #[case("hello you\n", Line::Say("hello you".into()))]
    #[case("//ban me", Line::Say("/ban me".into()))]
    #[case("/ban alice", Line::Rule { rule: who("hive", "alice"), value: 0.0 })]
    #[case("/ban @alice", Line::Rule { rule: who("hive", "alice"), value: 0.0 })]
    #[case("/unban blurt/alice", Line::Rule { rule: who("blurt", "alice"), value: 1.0 })]
    #[case("/approve avalon/al", Line::Rule { rule: who("avalon", "al"), value: 1.0 })]
    #[case("/slow 2.5", Line::Rule { rule: Rule::SlowMode, value: 2.5 })]
    #[case("/words add spam", Line::Rule { rule: Rule::Word("spam".into()), value: 1.0 })]
    #[case("/words", Line::Rules(Kind::Words))]
    #[case("/mods remove a.b", Line::Rule { rule: Rule::Moderator("a.b".parse().unwrap()), value: 0.0 })]
    #[case("/hide abcd12", Line::Message { start: "abcd12".into(), value: 0.0 })]
    #[case("/back", Line::Back(20))]
    #[case("/back 3", Line::Back(3))]
    #[case("/who", Line::Applicants)]
    #[case("/quit", Line::Quit)]
    fn lines_are_understood(#[case] text: &str, #[case] want: Line) {
        assert_eq!(Line::read(&chat(), text).unwrap(), want);
    }

    #[rstest]
    #[case("/")]
    #[case("/dance")]
    #[case("/ban")]
    #[case("/ban alice bob")]
    #[case("/ban a b c")]
    #[case("/ban Alice")]
    #[case("/ban nostr/alice")]
    #[case("/ban techcoderx")]
    #[case("/slow")]
    #[case("/slow -1")]
    #[case("/slow inf")]
    #[case("/slow NaN")]
    #[case("/words drop spam")]
    #[case("/words add")]
    #[case("/mods add")]
    #[case("/mods add a/b")]
    #[case("/hide abc")]
    #[case("/hide xyzw")]
    #[case("/back soon")]
    fn what_is_wrong_is_said_and_never_sent(#[case] text: &str) {
        assert!(Line::read(&chat(), text).is_err(), "{text}");
    }

    #[test]
    fn a_message_is_named_by_enough_letters_of_its_id() {
        let [a, b] = [[0xab; 32], [0xac; 32]];
        assert_eq!(find_digest([&a, &b, &a], "abab").unwrap(), a);
        assert!(find_digest([&a, &b], "a").unwrap_err().to_string().contains("more letters"));
        assert!(find_digest([&a, &b], "ff").is_err());
    }

    #[test]
    fn the_help_names_every_command() {
        for name in [
            "approve", "back", "ban", "help", "hide", "mods", "quit", "show", "slow", "unban",
            "who", "words",
        ] {
            assert!(HELP.contains(&format!("/{name} ")), "{name}");
        }
    }
}
