//! How a chat looks in a terminal or a pipe: [`Screen`]; and the lines that are typed: [`typed_lines`].

use std::{
    fmt::Write as _,
    io::{BufRead, Read as _},
};

use alive_chat::{Account, Hidden, Message, SafeText, StreamChat, Verified, resembles};
use alive_core::{Timestamp, backend::Digest};
use tokio::sync::mpsc;

use crate::chat_line::hex;

/// Longest line that is read, in bytes; the rest of a longer one is dropped.
const MAX_LINE: u64 = 64 << 10;
/// Lines that wait to be carried out.
const LINES: usize = 16;
/// Letters of an id that are shown.
const SHOWN_ID: usize = 8;
/// Colours that tell accounts apart: bright and readable on dark and light.
const COLOURS: [u8; 6] = [31, 32, 33, 34, 35, 36];

/// Makes lines of what happens. Nothing that strangers wrote acts on the terminal.
#[derive(Clone, Debug)]
pub(crate) struct Screen {
    has_colours: bool,
    streamer: Account,
}

impl Screen {
    /// For this chat; colours only where a person looks.
    pub(crate) fn new(chat: &StreamChat, has_colours: bool) -> Self {
        Self { has_colours, streamer: chat.streamer().clone() }
    }

    /// A message: its id, when it was written (UTC), by whom, what.
    pub(crate) fn message(&self, message: &Verified<Message>) -> String {
        let signed = message.signed();
        let id = hex(message.digest());
        let id = id.get(..SHOWN_ID).unwrap_or(&id);
        let (time, who) = (clock(signed.time().as_ms()), self.account(signed.account()));
        format!("{} {} {who}: {}", self.dim(id), self.dim(&time), SafeText(signed.text()))
    }

    /// A message that is hidden.
    pub(crate) fn hidden(&self, digest: &Digest, why: Hidden) -> String {
        let id = hex(digest);
        self.note(&format!("message {} is hidden: {why}", id.get(..SHOWN_ID).unwrap_or(&id)))
    }

    /// Something that nobody said.
    pub(crate) fn note(&self, text: &str) -> String {
        self.dim(&format!("* {}", SafeText(text)))
    }

    /// An account, with what a reader should know of it.
    pub(crate) fn account(&self, account: &Account) -> String {
        let mut text = account.to_string();
        if account == &self.streamer {
            text.push_str(" (streamer)");
        } else if resembles(account, &self.streamer) {
            text.push_str(" (NOT the streamer)");
        }
        // Names of every network are plain letters; another one that is not shall do no harm.
        let text = SafeText(&text).to_string();
        if !self.has_colours {
            return text;
        }
        let sum = account.to_string().bytes().map(usize::from).sum::<usize>();
        let colour = COLOURS.get(sum % COLOURS.len()).copied().unwrap_or_default();
        let weight = if account == &self.streamer { "1;" } else { "" };
        format!("\x1b[{weight}{colour}m{text}\x1b[0m")
    }

    fn dim(&self, text: &str) -> String {
        if self.has_colours { format!("\x1b[2m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// The time of day, or the day too if it is another one than that of the epoch's count: `21:04:05`.
fn clock(ms: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "a float beyond the range becomes its end")]
    let time = Timestamp::from_unix_ms(ms.floor() as i64).to_string();
    // 2026-11-21T18:00:00Z
    time.get(..19).map_or(time.clone(), |time| time.replace('T', " "))
}

/// The lines of standard input, read by a thread of their own: a read cannot be cancelled, and must not keep the program
/// from its end.
pub(crate) fn typed_lines() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(LINES);
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        while let Some(line) = read_line(&mut input) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// A line, cut where it is too long; `None` at the end.
fn read_line(input: &mut impl BufRead) -> Option<String> {
    let mut line = Vec::new();
    let read = input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line).ok()?;
    if read == 0 {
        return None;
    }
    if line.last() != Some(&b'\n') && u64::try_from(read).ok() == Some(MAX_LINE) {
        input.skip_until(b'\n').ok()?;
    }
    let mut text = String::new();
    // What is no text becomes replacement characters, which the writer sees when it comes back.
    let _ = write!(text, "{}", String::from_utf8_lossy(&line));
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat_networks::networks;

    fn screen(has_colours: bool) -> Screen {
        let chat = StreamChat::new(networks(), "hive/techcoderx/live-1".parse().unwrap());
        Screen::new(&chat.unwrap(), has_colours)
    }

    fn account(network: &str, name: &str) -> Account {
        networks().account(network, name).unwrap()
    }

    #[test]
    fn colours_are_for_terminals_only() {
        let alice = account("hive", "alice");
        assert_eq!(screen(false).account(&alice), "hive/alice");
        let coloured = screen(true).account(&alice);
        assert!(coloured.starts_with("\x1b[3") && coloured.ends_with("\x1b[0m"), "{coloured:?}");
    }

    #[test]
    fn the_streamer_and_those_who_look_like_him_are_told_apart() {
        let screen = screen(false);
        assert_eq!(screen.account(&account("hive", "techcoderx")), "hive/techcoderx (streamer)");
        for (network, name) in [("hive", "techc0derx"), ("blurt", "techcoderx")] {
            let shown = screen.account(&account(network, name));
            assert!(shown.ends_with("(NOT the streamer)"), "{shown}");
        }
    }

    #[test]
    fn notes_do_nothing_to_the_terminal() {
        assert_eq!(screen(false).note("\x1b[2J\u{202e}x"), "* <1B>[2J<202E>x");
    }

    #[test]
    fn lines_are_cut_where_they_are_too_long_and_the_next_is_whole() {
        let text = format!("{}\nnext\nlast", "a".repeat(100_000));
        let mut input = text.as_bytes();
        assert_eq!(read_line(&mut input).unwrap().len(), 64 << 10);
        assert_eq!(read_line(&mut input).unwrap(), "next\n");
        assert_eq!(read_line(&mut input).unwrap(), "last");
        assert_eq!(read_line(&mut input), None);
    }

    #[test]
    fn times_are_of_the_day_in_utc() {
        assert_eq!(clock(1_795_219_380_221.0), "2026-11-21 00:03:00");
    }
}
