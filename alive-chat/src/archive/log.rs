//! Writing an archive while people chat: [`ArchiveLog`].

use std::{collections::BTreeMap, io::Write};

use alive_core::backend::Digest;

use super::write::{ArchiveWriteError, ArchiveWriter};
use crate::{
    message::Message, moment::Moment, rules::MAX_DRIFT_MS, stream_chat::StreamChat,
    verified::Verified,
};

/// Brings messages into the order of an archive as they come: what is younger than a minute waits, what is older is
/// written. Memory is that of a minute of chat.
///
/// A minute is enough: a live message is at most 30 seconds older or younger than the clock, so one that comes now is never
/// earlier than what was written.
#[derive(Debug)]
pub struct ArchiveLog<W> {
    writer: ArchiveWriter<W>,
    waiting: BTreeMap<(Moment, Digest), Verified<Message>>,
    written_to: Option<Moment>,
}

impl<W: Write> ArchiveLog<W> {
    /// Most messages that wait. Our own limit, more than a thousand messages a second.
    pub const MAX_WAITING: usize = 65_536;

    /// Writes the archive of this chat.
    pub fn new(chat: StreamChat, to: W) -> Self {
        Self { writer: ArchiveWriter::new(chat, to), waiting: BTreeMap::new(), written_to: None }
    }

    /// Adds a message that was accepted at `now`, and writes what has become old enough.
    ///
    /// # Errors
    /// The message is too old to be put in its place, too many wait, it was signed for another stream, or the file cannot
    /// be written.
    pub fn add(&mut self, message: Verified<Message>, now: Moment) -> Result<(), LogError> {
        self.settle(now)?;
        let time = message.signed().time();
        if self.written_to.is_some_and(|written_to| time < written_to) {
            return Err(LogError::Late);
        }
        let place = (time, *message.digest());
        if !self.waiting.contains_key(&place) && self.waiting.len() >= Self::MAX_WAITING {
            return Err(LogError::Full);
        }
        self.waiting.entry(place).or_insert(message);
        Ok(())
    }

    /// Writes what is old enough at `now`.
    ///
    /// # Errors
    /// The file cannot be written, or a message was signed for another stream.
    pub fn settle(&mut self, now: Moment) -> Result<(), LogError> {
        let old = now.after_ms(-2.0 * MAX_DRIFT_MS);
        while let Some(first) = self.waiting.first_entry() {
            let (time, _) = *first.key();
            if time >= old {
                break;
            }
            self.writer.push(&first.remove())?;
        }
        self.written_to = self.written_to.max(Some(old));
        Ok(())
    }

    /// Writes everything and gives back the file.
    ///
    /// # Errors
    /// The file cannot be written, or a message was signed for another stream.
    pub fn finish(mut self) -> Result<W, LogError> {
        while let Some((_, message)) = self.waiting.pop_first() {
            self.writer.push(&message)?;
        }
        Ok(self.writer.finish()?)
    }
}

/// Why a message did not go into the log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// Too many messages are younger than a minute.
    #[error("more than {max} messages within a minute", max = ArchiveLog::<Vec<u8>>::MAX_WAITING)]
    Full,
    /// Its place has been written over already.
    #[error("the message comes more than a minute after its time")]
    Late,
    /// It could not be written.
    #[error(transparent)]
    Write(#[from] ArchiveWriteError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{STREAM, chat, ms, verified};

    #[test]
    fn messages_that_come_in_any_order_are_written_in_theirs() {
        let mut log = ArchiveLog::new(chat(STREAM), Vec::new());
        let start = 1_000_000.0;
        for (time, now) in [(5.0, 10.0), (1.0, 11.0), (30_000.0, 12.0), (9.0, 30_005.0)] {
            log.add(verified("hive/alice", start + time, "m"), ms(start + now)).unwrap();
        }
        log.settle(ms(start + 60_006.0)).unwrap();
        assert_eq!(log.waiting.len(), 2, "what is younger than a minute waits");
        let late = log.add(verified("hive/alice", start + 2.0, "late"), ms(start + 60_007.0));
        assert!(matches!(late, Err(LogError::Late)));
        log.add(verified("hive/bobby", start + 9.0, "again"), ms(start + 60_009.0)).unwrap();
        let archive = String::from_utf8(log.finish().unwrap()).unwrap();
        let times: Vec<f64> = archive
            .lines()
            .map(|line| line.split("\"t\":").nth(1).unwrap().split(',').next().unwrap())
            .map(|time| time.parse::<f64>().unwrap() - start)
            .collect();
        assert_eq!(times, [1.0, 5.0, 9.0, 9.0, 30_000.0]);
    }
}
