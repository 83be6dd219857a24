//! Reading an archive with every signature checked: [`ArchiveReader`].

use std::{
    collections::{HashSet, VecDeque},
    io::{self, BufRead, Read as _},
    num::NonZeroUsize,
    thread,
};

use alive_core::backend::Digest;

use super::line::Line;
use crate::{
    message::Message,
    moment::Moment,
    networks::Account,
    rules::Refusal,
    stream_chat::StreamChat,
    verified::{KeySet, Recovered, Verified},
};

/// Longest line, its end included, in bytes. Our own limit; no message that has the form of one makes a longer line.
const MAX_LINE: usize = Message::MAX_JSON + 1;

/// Reads an archive line by line; signatures are checked ahead, on several threads.
///
/// The caller brings the keys of the accounts: take [`next_line`](Self::next_line), find the keys of its
/// [account](ArchiveLine::account) and let [`judge`](Self::judge) decide. An archive counts only as a whole: an error at
/// any line makes all lines before it void.
///
/// ```
/// # use alive_chat::{Family, Networks, StreamChat};
/// # use alive_hive::{GraphenePlain, is_account_name};
/// # let networks = Networks::new([Family::new("hive".parse()?, GraphenePlain, is_account_name)])?;
/// # let chat = StreamChat::new(networks, "hive/techcoderx/live-1".parse()?)?;
/// use alive_chat::{ArchiveReader, KeySet};
/// let archive = "{\"u\":\"alice\",\"n\":\"hive\",\"s\":\"1f\",\"t\":1,\"m\":\"hello\"}\n";
/// let mut reader = ArchiveReader::new(chat, archive.as_bytes());
/// while let Some(line) = reader.next_line()? {
///     let keys = KeySet::default();
///     assert!(reader.judge(line, Some(&keys)).is_err(), "nobody signed it");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ArchiveReader<R> {
    from: R,
    chat: StreamChat,
    threads: NonZeroUsize,
    within: Option<(Moment, Moment)>,
    ahead: VecDeque<ArchiveLine>,
    buffer: Vec<u8>,
    read: u64,
    latest: Option<Moment>,
    /// Digests that were accepted at [`Self::seen_at`]: a digest says its time, so no other time can repeat it.
    seen: HashSet<Digest>,
    seen_at: Option<Moment>,
}

impl<R: BufRead> ArchiveReader<R> {
    /// Most messages of one millisecond. Our own limit, so that memory is bounded.
    pub const MAX_AT_ONCE: usize = 65_536;
    /// Lines that are checked at once.
    const BLOCK_LINES: usize = 1024;
    /// Bytes of lines that are checked at once, about.
    const BLOCK_BYTES: usize = 1 << 20;

    /// Reads the archive of this chat, checking signatures on every core.
    pub fn new(chat: StreamChat, from: R) -> Self {
        let threads = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self {
            from,
            chat,
            threads,
            within: None,
            ahead: VecDeque::new(),
            buffer: Vec::new(),
            read: 0,
            latest: None,
            seen: HashSet::new(),
            seen_at: None,
        }
    }

    /// Checks signatures on so many threads.
    #[must_use]
    pub fn threads(mut self, threads: NonZeroUsize) -> Self {
        self.threads = threads;
        self
    }

    /// Skips messages from before the stream or after it: 30 seconds are allowed on both sides. Source:
    /// `spec/alivedb.md`, section 8.8.
    #[must_use]
    pub fn within(mut self, start: Moment, end: Moment) -> Self {
        let drift = crate::rules::MAX_DRIFT_MS;
        self.within = Some((start.after_ms(-drift), end.after_ms(drift)));
        self
    }

    /// The next line, `None` at the end.
    ///
    /// # Errors
    /// The file cannot be read, or it is no archive; whatever came before is void then.
    pub fn next_line(&mut self) -> Result<Option<ArchiveLine>, ArchiveError> {
        if self.ahead.is_empty() {
            self.read_block()?;
        }
        Ok(self.ahead.pop_front())
    }

    /// Decides whether a line is a message of its account; `keys` are those of [`ArchiveLine::account`], `None` if there
    /// is no such account. Lines must be judged in their order.
    ///
    /// # Errors
    /// The line is skipped, and why.
    pub fn judge(
        &mut self,
        line: ArchiveLine,
        keys: Option<&KeySet>,
    ) -> Result<Verified<Message>, Refusal> {
        let recovered = line.claim?;
        let time = recovered.signed().time();
        if self.seen_at != Some(time) {
            self.seen.clear();
            self.seen_at = Some(time);
        }
        if self.seen.contains(recovered.digest()) {
            return Err(Refusal::Duplicate);
        }
        if self.seen.len() >= Self::MAX_AT_ONCE {
            return Err(Refusal::Full);
        }
        if self.within.is_some_and(|(start, end)| time < start || time > end) {
            return Err(Refusal::Clock);
        }
        let verified = recovered.allow(keys.ok_or(Refusal::NoAccount)?).ok_or(Refusal::Key)?;
        self.seen.insert(*verified.digest());
        Ok(verified)
    }

    /// Reads lines until there are enough to keep every thread busy.
    fn read_block(&mut self) -> Result<(), ArchiveError> {
        // Which lines say a message; those wait for their signatures.
        let mut forms: Vec<Option<Refusal>> = Vec::new();
        let mut messages = Vec::new();
        let mut bytes = 0;
        while forms.len() < Self::BLOCK_LINES && bytes < Self::BLOCK_BYTES {
            let number = self.read + u64::try_from(forms.len()).unwrap_or(u64::MAX);
            let text = read_text(&mut self.from, &mut self.buffer, number)?;
            let Some(line) = text else { break };
            bytes += line.len();
            let networks = self.chat.networks();
            let line = Line::read(networks, line).ok_or(ArchiveError::Form { line: number })?;
            if self.latest.is_some_and(|latest| line.time < latest) {
                return Err(ArchiveError::Backwards { line: number });
            }
            self.latest = Some(line.time);
            match line.into_message(networks) {
                Ok(message) => {
                    forms.push(None);
                    messages.push(message);
                }
                // Whatever is said here, it is nothing that an account can have signed.
                Err(_) => forms.push(Some(Refusal::Signature(NOT_A_MESSAGE))),
            }
        }
        let mut recovered = self.chat.recover_all(messages, self.threads).into_iter();
        for form in forms {
            let claim = match form {
                Some(refusal) => Err(refusal),
                None => match recovered.next() {
                    Some(recovered) => recovered.map_err(Refusal::Signature),
                    None => Err(Refusal::Signature(NOT_A_MESSAGE)),
                },
            };
            self.ahead.push_back(ArchiveLine { index: self.read, claim });
            self.read += 1;
        }
        Ok(())
    }
}

/// Reads a line without its end into the buffer.
fn read_text<'b>(
    from: &mut impl BufRead,
    buffer: &'b mut Vec<u8>,
    number: u64,
) -> Result<Option<&'b str>, ArchiveError> {
    buffer.clear();
    let limit = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
    let len = from.take(limit).read_until(b'\n', buffer).map_err(ArchiveError::Read)?;
    match buffer.split_last() {
        None => Ok(None),
        Some((b'\n', line)) => {
            std::str::from_utf8(line).map(Some).map_err(|_| ArchiveError::Form { line: number })
        }
        Some(_) if len >= MAX_LINE => Err(ArchiveError::TooLong { line: number }),
        Some(_) => Err(ArchiveError::End),
    }
}

const NOT_A_MESSAGE: alive_core::backend::SignatureError =
    alive_core::backend::SignatureError::Form("the line says nothing that could be signed");

/// A line whose signature was looked at. Whose key signed it is for [`ArchiveReader::judge`] to say.
#[derive(Debug)]
pub struct ArchiveLine {
    index: u64,
    claim: Result<Recovered<Message>, Refusal>,
}

impl ArchiveLine {
    /// Its number, from 0.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Who says to have sent it; `None` when it is already clear that nobody did.
    pub fn account(&self) -> Option<&Account> {
        self.claim.as_ref().ok().map(|recovered| recovered.signed().account())
    }

    /// The key that signed it; `None` when none did.
    pub fn key(&self) -> Option<&alive_core::backend::PublicKeyBytes> {
        self.claim.as_ref().ok().map(Recovered::key)
    }
}

/// Why a file is no archive. Lines count from 0.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The time of this line is before that of the line above it.
    #[error("line {line} is earlier than the line before it")]
    Backwards {
        /// Which.
        line: u64,
    },
    /// The last line has no end.
    #[error("the last line has no line feed: the file is cut")]
    End,
    /// This line is not as an archive writes it.
    #[error("line {line} is no message as an archive writes it")]
    Form {
        /// Which.
        line: u64,
    },
    /// The file cannot be read.
    #[error("reading the archive")]
    Read(#[source] io::Error),
    /// This line is longer than any message.
    #[error("line {line} is longer than any message")]
    TooLong {
        /// Which.
        line: u64,
    },
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::fixtures::{STREAM, chat, keys_of, message, ms, signed_by};

    fn read(archive: &str) -> Result<Vec<Result<String, Refusal>>, ArchiveError> {
        judge_all(ArchiveReader::new(chat(STREAM), archive.as_bytes()))
    }

    fn judge_all<R: BufRead>(
        mut reader: ArchiveReader<R>,
    ) -> Result<Vec<Result<String, Refusal>>, ArchiveError> {
        let mut all = Vec::new();
        while let Some(line) = reader.next_line()? {
            let keys = line.account().map(|account| keys_of(&account.to_string()));
            let outcome = reader.judge(line, keys.as_ref());
            all.push(outcome.map(|verified| verified.signed().text().to_owned()));
        }
        Ok(all)
    }

    #[test]
    fn skips_what_is_not_signed_and_what_repeats() {
        let good = message("hive/alice", 5.0, "good");
        let forged = signed_by("hive/mallory", "hive/alice", 5.0, "forged");
        let later = message("avalon/carol", 6.0, "later");
        let archive = format!("{good}\n{forged}\n{good}\n{later}\n");
        let want = [
            Ok("good".to_owned()),
            Err(Refusal::Key),
            Err(Refusal::Duplicate),
            Ok("later".to_owned()),
        ];
        assert_eq!(read(&archive).unwrap(), want);
    }

    #[test]
    fn a_forged_line_does_not_use_up_the_digest_of_a_good_one() {
        let good = message("hive/alice", 5.0, "good");
        let forged = signed_by("hive/mallory", "hive/alice", 5.0, "good");
        let archive = format!("{forged}\n{good}\n");
        assert_eq!(read(&archive).unwrap(), [Err(Refusal::Key), Ok("good".to_owned())]);
    }

    #[test]
    fn order_holds_across_blocks_and_skipped_lines() {
        let line = |t: u32| {
            format!("{{\"u\":\"alice\",\"n\":\"hive\",\"s\":\"x\",\"t\":{t},\"m\":\"a\"}}\n")
        };
        let mut archive: String = (1..=3000).map(line).collect();
        assert_eq!(read(&archive).unwrap().len(), 3000);
        archive += &line(2999);
        assert!(matches!(read(&archive), Err(ArchiveError::Backwards { line: 3000 })));
    }

    #[rstest]
    #[case::no_end("{\"u\":\"alice\",\"n\":\"hive\",\"s\":\"x\",\"t\":1,\"m\":\"a\"}", "cut")]
    #[case::blank_line("\n", "line 0 is no message")]
    #[case::not_utf8("", "line 0 is no message")]
    fn broken_files_are_refused(#[case] archive: &str, #[case] why: &str) {
        let bytes = if archive.is_empty() { b"\xff\n" } else { archive.as_bytes() };
        let error = judge_all(ArchiveReader::new(chat(STREAM), bytes)).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }

    #[test]
    fn an_endless_line_is_given_up() {
        let endless = io::BufReader::new(io::repeat(b'a'));
        let error = judge_all(ArchiveReader::new(chat(STREAM), endless)).unwrap_err();
        assert!(matches!(error, ArchiveError::TooLong { line: 0 }), "{error}");
    }

    #[test]
    fn messages_from_outside_the_stream_are_skipped() {
        let lines: String = [69_999.0, 70_000.0, 130_000.0, 130_001.0]
            .iter()
            .flat_map(|t| [message("hive/alice", *t, "m").to_string(), "\n".to_owned()])
            .collect();
        let reader = ArchiveReader::new(chat(STREAM), lines.as_bytes());
        let got = judge_all(reader.within(ms(100_000.0), ms(100_000.0))).unwrap();
        let held: Vec<_> = got.iter().map(Result::is_ok).collect();
        assert_eq!(held, [false, true, true, false]);
    }
}
