//! Writing an archive: [`ArchiveWriter`].

use std::io::{self, Write};

use crate::{message::Message, stream_chat::StreamChat, verified::Verified};

/// Writes an archive, one message after the other in the order of time and digest.
///
/// It takes only [`Verified`] messages, and checks that they were signed for this stream. Of several with one digest it
/// keeps the one with the smallest signature text, so that all writers write the same file. Source: `spec/alivedb.md`,
/// section 8.8.
///
/// ```
/// # use alive_chat::{Family, Networks, StreamChat};
/// # use alive_hive::{GraphenePlain, is_account_name};
/// # let networks = Networks::new([Family::new("hive".parse()?, GraphenePlain, is_account_name)])?;
/// # let chat = StreamChat::new(networks, "hive/techcoderx/live-1".parse()?)?;
/// use alive_chat::ArchiveWriter;
/// let writer = ArchiveWriter::new(chat, Vec::new());
/// assert_eq!(writer.finish()?, b"", "a chat in which nobody spoke");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ArchiveWriter<W> {
    to: W,
    chat: StreamChat,
    /// The last message: one with the same digest may still follow.
    last: Option<Verified<Message>>,
    written: u64,
}

impl<W: Write> ArchiveWriter<W> {
    /// Writes the archive of this chat.
    pub fn new(chat: StreamChat, to: W) -> Self {
        Self { to, chat, last: None, written: 0 }
    }

    /// Adds a message.
    ///
    /// # Errors
    /// It belongs before one that was added, it was signed for another stream, or the file cannot be written.
    pub fn push(&mut self, message: &Verified<Message>) -> Result<(), ArchiveWriteError> {
        if self.chat.digest(message.signed()).as_ref() != Ok(message.digest()) {
            return Err(ArchiveWriteError::Foreign);
        }
        let place = |message: &Verified<Message>| (message.signed().time(), *message.digest());
        let signature = |message: &Verified<Message>| message.signed().signature().text.clone();
        match &mut self.last {
            Some(last) if place(message) < place(last) => return Err(ArchiveWriteError::Order),
            Some(last) if message.digest() == last.digest() => {
                if signature(message) < signature(last) {
                    *last = message.clone();
                }
            }
            _ => {
                self.write_last()?;
                self.last = Some(message.clone());
            }
        }
        Ok(())
    }

    /// How many messages are in the archive.
    pub fn len(&self) -> u64 {
        self.written + u64::from(self.last.is_some())
    }

    /// Whether no message is in the archive.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes what is left and gives back the file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish(mut self) -> Result<W, ArchiveWriteError> {
        self.write_last()?;
        self.to.flush().map_err(ArchiveWriteError::Write)?;
        Ok(self.to)
    }

    fn write_last(&mut self) -> Result<(), ArchiveWriteError> {
        if let Some(last) = self.last.take() {
            writeln!(self.to, "{}", last.signed()).map_err(ArchiveWriteError::Write)?;
            self.written += 1;
        }
        Ok(())
    }
}

/// Why a message did not go into an archive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveWriteError {
    /// It was signed for another stream.
    #[error("the message was signed for another stream")]
    Foreign,
    /// It belongs before a message that was added.
    #[error("messages are added in the order of time and digest")]
    Order,
    /// The file cannot be written.
    #[error("writing the archive")]
    Write(#[source] io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{STREAM, chat, keys_of, message, verified};
    use crate::{FieldValue, Message as M};

    fn malleated(message: &Message) -> Verified<Message> {
        let upper = message.signature().text.to_uppercase();
        let fields = [
            ("u", FieldValue::Text(message.account().name().as_str().into())),
            ("n", FieldValue::Text(message.account().network().as_str().into())),
            ("s", FieldValue::Text(upper.into())),
            ("t", FieldValue::Number(message.time().as_ms())),
            ("m", FieldValue::Text(message.text().into())),
        ];
        let message = M::from_fields(chat(STREAM).networks(), fields).unwrap();
        let account = message.account().to_string();
        chat(STREAM).recover(message).unwrap().allow(&keys_of(&account)).unwrap()
    }

    #[test]
    fn one_of_several_signatures_is_kept_whatever_their_order() {
        let plain = verified("hive/alice", 5.0, "hello");
        let other = malleated(plain.signed());
        assert_eq!(plain.digest(), other.digest());
        let mut files = Vec::new();
        for order in [[&plain, &other], [&other, &plain]] {
            let mut writer = ArchiveWriter::new(chat(STREAM), Vec::new());
            for message in order {
                writer.push(message).unwrap();
            }
            assert_eq!(writer.len(), 1);
            files.push(writer.finish().unwrap());
        }
        assert_eq!(files[0], files[1]);
        assert!(plain.signed().signature().text > other.signed().signature().text);
        assert_eq!(files[0], format!("{}\n", other.signed()).into_bytes());
    }

    #[test]
    fn order_and_stream_are_checked() {
        let mut writer = ArchiveWriter::new(chat(STREAM), Vec::new());
        writer.push(&verified("hive/alice", 5.0, "a")).unwrap();
        let earlier = writer.push(&verified("hive/alice", 4.0, "b"));
        assert!(matches!(earlier, Err(ArchiveWriteError::Order)));
        let elsewhere = chat("hive/techcoderx/other").recover(message("hive/alice", 9.0, "c"));
        let elsewhere = elsewhere.unwrap();
        let keys = [*elsewhere.key()].into_iter().collect();
        let foreign = writer.push(&elsewhere.allow(&keys).unwrap());
        assert!(matches!(foreign, Err(ArchiveWriteError::Foreign)));
        assert_eq!(writer.len(), 1);
    }
}
