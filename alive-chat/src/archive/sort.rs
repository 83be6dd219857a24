//! Bringing any number of messages into the order of an archive: [`ArchiveSorter`], [`SortedMessages`].

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    io::{self, Read, Seek, SeekFrom, Write},
    ops::Range,
};

use alive_core::backend::{Digest, SignatureError};

use super::line::Line;
use crate::{message::Message, moment::Moment, stream_chat::StreamChat};

/// Takes messages in any order and gives them back in that of an archive, through a file: memory does not grow with them.
///
/// They are sorted in runs of [`run_bytes`](Self::run_bytes), which are written to the file one behind the other and merged
/// at the end. Nothing is verified: give it what may count, and verify what comes out. What comes twice comes out once; the
/// same message with another signature comes out too, the smallest signature first, because only one of them may be good.
///
/// ```
/// # use alive_chat::{Family, Message, Networks, StreamChat};
/// # use alive_hive::{GraphenePlain, is_account_name};
/// # let networks = Networks::new([Family::new("hive".parse()?, GraphenePlain, is_account_name)])?;
/// # let chat = StreamChat::new(networks.clone(), "hive/techcoderx/live-1".parse()?)?;
/// use alive_chat::ArchiveSorter;
/// let mut sorter = ArchiveSorter::new(chat, std::io::Cursor::new(Vec::new()));
/// for time in [7, 5, 6, 5] {
///     let json = format!(r#"{{"u":"alice","n":"hive","s":"1f","t":{time},"m":"hello"}}"#);
///     sorter.push(Message::from_json(&networks, &json)?)?;
/// }
/// let sorted: Vec<_> = sorter.finish()?.collect::<Result<_, _>>()?;
/// let times: Vec<_> = sorted.iter().map(|message| message.time().as_ms()).collect();
/// assert_eq!(times, [5.0, 6.0, 7.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ArchiveSorter<F> {
    chat: StreamChat,
    file: F,
    run: Vec<Placed>,
    held_bytes: usize,
    run_bytes: usize,
    runs: Vec<Range<u64>>,
}

impl<F: Read + Write + Seek> ArchiveSorter<F> {
    /// Bytes of messages that are sorted in memory by default. 16 MiB.
    pub const RUN_BYTES: usize = 16 << 20;
    /// Bytes that a message takes in memory beside its text and its signature, about.
    const OWN_BYTES: usize = 256;

    /// Sorts messages of this chat through an empty file that nobody else writes to.
    pub fn new(chat: StreamChat, file: F) -> Self {
        let (run, runs) = (Vec::new(), Vec::new());
        Self { chat, file, run, held_bytes: 0, run_bytes: Self::RUN_BYTES, runs }
    }

    /// Sets how many bytes of messages are sorted in memory. The merge takes as much, and 4 KiB or one message for each
    /// run.
    #[must_use]
    pub fn run_bytes(self, run_bytes: usize) -> Self {
        Self { run_bytes, ..self }
    }

    /// Adds a message.
    ///
    /// # Errors
    /// The file cannot be written, or the message is of a network that the chat has not.
    pub fn push(&mut self, message: Message) -> Result<(), SortError> {
        let digest = self.chat.digest(&message).map_err(SortError::Foreign)?;
        let texts = message.text().len() + message.signature().text.len();
        self.held_bytes += Self::OWN_BYTES + texts;
        self.run.push(Placed { digest, message });
        if self.held_bytes >= self.run_bytes {
            self.write_run()?;
        }
        Ok(())
    }

    /// Everything that was added, in the order of an archive.
    ///
    /// # Errors
    /// The file cannot be written or read.
    pub fn finish(mut self) -> Result<SortedMessages<F>, SortError> {
        self.write_run()?;
        drop(self.run);
        let piece = self.run_bytes / self.runs.len().max(1);
        let mut sorted = SortedMessages {
            chat: self.chat,
            file: self.file,
            piece: piece.clamp(MIN_PIECE, MAX_PIECE),
            runs: self.runs.into_iter().map(Run::new).collect(),
            heads: BinaryHeap::new(),
            last: None,
        };
        for index in 0..sorted.runs.len() {
            sorted.advance(index)?;
        }
        Ok(sorted)
    }

    fn write_run(&mut self) -> Result<(), SortError> {
        if self.run.is_empty() {
            return Ok(());
        }
        self.run.sort_unstable();
        self.run.dedup();
        let start = self.runs.last().map_or(0, |run| run.end);
        self.file.seek(SeekFrom::Start(start)).map_err(SortError::File)?;
        let (mut end, mut bytes) = (start, Vec::with_capacity(MAX_PIECE));
        for placed in self.run.drain(..) {
            let at = bytes.len();
            bytes.extend_from_slice(&placed.digest);
            bytes.extend_from_slice(&[0; LEN_BYTES]);
            write!(bytes, "{}", placed.message).map_err(SortError::File)?;
            let len = bytes.len() - at - HEAD_BYTES;
            let len = u32::try_from(len).map_err(|_| SortError::Damaged)?.to_le_bytes();
            let place = bytes.get_mut(at + DIGEST_BYTES..at + HEAD_BYTES);
            place.ok_or(SortError::Damaged)?.copy_from_slice(&len);
            if bytes.len() >= MAX_PIECE {
                self.file.write_all(&bytes).map_err(SortError::File)?;
                end += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                bytes.clear();
            }
        }
        self.file.write_all(&bytes).map_err(SortError::File)?;
        end += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.runs.push(start..end);
        self.held_bytes = 0;
        Ok(())
    }
}

const DIGEST_BYTES: usize = size_of::<Digest>();
const LEN_BYTES: usize = size_of::<u32>();
/// What stands before the JSON of a message in the file: its digest and the length.
const HEAD_BYTES: usize = DIGEST_BYTES + LEN_BYTES;
/// Least bytes of a run that are read at once.
const MIN_PIECE: usize = 4 << 10;
/// Most bytes that are read or written at once.
const MAX_PIECE: usize = 256 << 10;

/// The messages of an [`ArchiveSorter`], by time, digest and signature. After an error there are no more.
#[derive(Debug)]
pub struct SortedMessages<F> {
    chat: StreamChat,
    file: F,
    piece: usize,
    runs: Vec<Run>,
    /// The next message of each run that has one.
    heads: BinaryHeap<Reverse<(Placed, usize)>>,
    last: Option<Placed>,
}

impl<F: Read + Seek> SortedMessages<F> {
    /// Takes the next message of a run.
    fn advance(&mut self, index: usize) -> Result<(), SortError> {
        let Some(run) = self.runs.get_mut(index) else { return Ok(()) };
        if let Some(placed) = run.next(&mut self.file, self.piece, &self.chat)? {
            self.heads.push(Reverse((placed, index)));
        }
        Ok(())
    }
}

impl<F: Read + Seek> Iterator for SortedMessages<F> {
    type Item = Result<Message, SortError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Reverse((placed, index)) = self.heads.pop()?;
            if let Err(error) = self.advance(index) {
                self.heads.clear();
                return Some(Err(error));
            }
            if self.last.as_ref() != Some(&placed) {
                let message = placed.message.clone();
                self.last = Some(placed);
                return Some(Ok(message));
            }
        }
    }
}

/// A message with its place: by time, then digest, then signature.
#[derive(Debug)]
struct Placed {
    digest: Digest,
    message: Message,
}

impl Placed {
    fn place(&self) -> (Moment, &Digest, &str, Option<u8>) {
        let signature = self.message.signature();
        (self.message.time(), &self.digest, &signature.text, signature.recovery_id)
    }
}

impl PartialEq for Placed {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl Eq for Placed {}

impl PartialOrd for Placed {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Placed {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.place().cmp(&other.place())
    }
}

/// A run in the file, as far as it was read.
#[derive(Debug)]
struct Run {
    rest: Range<u64>,
    buffer: Vec<u8>,
    at: usize,
}

impl Run {
    fn new(rest: Range<u64>) -> Self {
        Self { rest, buffer: Vec::new(), at: 0 }
    }

    fn next(
        &mut self,
        file: &mut (impl Read + Seek),
        piece: usize,
        chat: &StreamChat,
    ) -> Result<Option<Placed>, SortError> {
        if self.rest.is_empty() && self.at == self.buffer.len() {
            self.buffer = Vec::new();
            self.at = 0;
            return Ok(None);
        }
        let digest = self.take(DIGEST_BYTES, file, piece)?;
        let digest = Digest::try_from(digest).map_err(|_| SortError::Damaged)?;
        let len = self.take(LEN_BYTES, file, piece)?;
        let len = <[u8; LEN_BYTES]>::try_from(len).map_err(|_| SortError::Damaged)?;
        let len = usize::try_from(u32::from_le_bytes(len)).map_err(|_| SortError::Damaged)?;
        let json = std::str::from_utf8(self.take(len, file, piece)?).ok();
        let networks = chat.networks();
        let line = json.and_then(|json| Line::read(networks, json)).ok_or(SortError::Damaged)?;
        let message = line.into_message(networks).map_err(|_| SortError::Damaged)?;
        Ok(Some(Placed { digest, message }))
    }

    /// The next bytes, out of the file if they were not read yet.
    fn take(
        &mut self,
        len: usize,
        file: &mut (impl Read + Seek),
        piece: usize,
    ) -> Result<&[u8], SortError> {
        let held = self.buffer.len() - self.at;
        if held < len {
            self.buffer.drain(..self.at);
            self.at = 0;
            let missing = u64::try_from(piece.max(len) - held).unwrap_or(u64::MAX);
            let missing = missing.min(self.rest.end - self.rest.start);
            file.seek(SeekFrom::Start(self.rest.start)).map_err(SortError::File)?;
            let read = file.by_ref().take(missing).read_to_end(&mut self.buffer);
            self.rest.start += u64::try_from(read.map_err(SortError::File)?).unwrap_or(u64::MAX);
        }
        let bytes = self.buffer.get(self.at..self.at + len).ok_or(SortError::Damaged)?;
        self.at += len;
        Ok(bytes)
    }
}

/// Why messages cannot be sorted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SortError {
    /// The file does not have what was written to it.
    #[error("the file of sorted messages was changed by somebody else")]
    Damaged,
    /// The file cannot be written or read.
    #[error("sorting messages in a file")]
    File(#[source] io::Error),
    /// The message is of another chat.
    #[error("the message is of another chat")]
    Foreign(#[source] SignatureError),
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        archive::{ArchiveReader, ArchiveWriter},
        fixtures::{STREAM, chat, keys_of, message, signed_by},
    };

    fn sorted(messages: Vec<Message>, run_bytes: usize) -> Vec<Message> {
        let mut sorter = ArchiveSorter::new(chat(STREAM), Cursor::new(Vec::new()));
        sorter = sorter.run_bytes(run_bytes);
        for message in messages {
            sorter.push(message).unwrap();
        }
        sorter.finish().unwrap().collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn nothing_stays_nothing() {
        assert!(sorted(Vec::new(), 1).is_empty());
    }

    #[test]
    fn forms_of_a_signature_come_one_after_the_other_whatever_run_they_are_in() {
        let good = message("hive/alice", 5.0, "hello");
        let forged = signed_by("hive/bobby", "hive/alice", 5.0, "hello");
        let mut want = [good.clone(), forged.clone()];
        want.sort_by(|a, b| a.signature().text.cmp(&b.signature().text));
        for run_bytes in [1, 1 << 20] {
            let messages = vec![forged.clone(), good.clone(), forged.clone(), good.clone()];
            assert_eq!(sorted(messages, run_bytes), want, "{run_bytes}");
        }
    }

    #[test]
    fn a_message_longer_than_what_is_read_at_once_comes_back_whole() {
        let long = message("hive/alice", 5.0, &"\u{1}é".repeat(20_000));
        assert!(long.to_string().len() > 3 * MIN_PIECE);
        let short = message("hive/alice", 4.0, "short");
        let messages = vec![long.clone(), short.clone()];
        assert_eq!(sorted(messages, 1), [short, long]);
    }

    #[test]
    fn a_file_that_is_full_or_damaged_is_an_error() {
        struct Full;
        impl Read for Full {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Ok(0)
            }
        }
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        impl Seek for Full {
            fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
                Ok(0)
            }
        }
        let mut sorter = ArchiveSorter::new(chat(STREAM), Full).run_bytes(1);
        let full = sorter.push(message("hive/alice", 5.0, "a"));
        assert!(matches!(full, Err(SortError::File(_))), "{full:?}");

        for cut in [0, 3, 40, 60] {
            let mut sorter = ArchiveSorter::new(chat(STREAM), Cursor::new(Vec::new())).run_bytes(1);
            sorter.push(message("hive/alice", 5.0, "a")).unwrap();
            sorter.file.get_mut().truncate(cut);
            let damaged = sorter.finish().map(drop);
            assert!(matches!(damaged, Err(SortError::Damaged)), "{cut}: {damaged:?}");
        }
    }

    /// What verifies of these, written without a sorter.
    fn written(mut messages: Vec<Message>) -> Vec<u8> {
        let chat = chat(STREAM);
        messages.sort_by_key(|message| (message.time(), chat.digest(message).unwrap()));
        let mut writer = ArchiveWriter::new(chat.clone(), Vec::new());
        for message in messages {
            let keys = keys_of(&message.account().to_string());
            if let Some(verified) = chat.recover(message).unwrap().allow(&keys) {
                writer.push(&verified).unwrap();
            }
        }
        writer.finish().unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn any_messages_in_any_order_give_the_archive_that_the_writer_gives(
            made in proptest::collection::vec((0..3_usize, 1..7_u8, "\\PC{0,3}", any::<bool>()), 0..40),
            run_bytes in prop_oneof![Just(1_usize), 300..4000_usize, Just(1 << 20)],
        ) {
            let accounts = ["hive/alice", "hive/bobby", "avalon/carol"];
            let messages: Vec<_> = made.iter().map(|(who, time, text, is_forged)| {
                let (who, text) = (accounts[*who], format!("m{text}"));
                let signer = if *is_forged && who != "avalon/carol" { "hive/mallory" } else { who };
                signed_by(signer, who, f64::from(*time), &text)
            }).collect();
            let chat = chat(STREAM);
            let mut writer = ArchiveWriter::new(chat.clone(), Vec::new());
            for message in sorted(messages.clone(), run_bytes) {
                let keys = keys_of(&message.account().to_string());
                if let Some(verified) = chat.recover(message).unwrap().allow(&keys) {
                    writer.push(&verified).unwrap();
                }
            }
            let archive = writer.finish().unwrap();
            prop_assert_eq!(&archive, &written(messages));
            let mut reader = ArchiveReader::new(chat, &archive[..]);
            while let Some(line) = reader.next_line().unwrap() {
                let keys = line.account().map(|account| keys_of(&account.to_string()));
                prop_assert!(reader.judge(line, keys.as_ref()).is_ok());
            }
        }
    }
}
