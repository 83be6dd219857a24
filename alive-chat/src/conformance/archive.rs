//! `chat.archive` and `chat.archive_write`.

use std::num::NonZeroUsize;

use serde_json::{Value, json};

use super::{Chains, Refused, hex, keys, member, stream_chat, text};
use crate::{ArchiveReader, ArchiveWriter, KeySet, Message};

pub(super) fn read<C: Chains>(input: &Value) -> Result<Value, Refused> {
    let chat = stream_chat::<C>(input)?;
    let archive = text(input, "archive")?;
    let mut reader = ArchiveReader::new(chat, archive.as_bytes()).threads(NonZeroUsize::MIN);
    let (mut messages, mut rejected) = (Vec::new(), Vec::new());
    while let Some(line) = reader.next_line()? {
        let index = line.index();
        let own = line.account().map(|account| keys::<C>(input, account)).transpose()?.flatten();
        match reader.judge(line, own.as_ref()) {
            Err(_) => rejected.push(index),
            Ok(verified) => {
                let message = verified.signed();
                let network = message.account().network().as_str();
                messages.push(json!({
                    "u": message.account().name(), "n": network, "t": message.time().as_ms(),
                    "m": message.text(), "pub": C::write_key(network, verified.key()),
                }));
            }
        }
    }
    Ok(json!({ "messages": messages, "rejected_lines": rejected }))
}

pub(super) fn write<C: Chains>(input: &Value) -> Result<Value, Refused> {
    let chat = stream_chat::<C>(input)?;
    let mut verified = Vec::new();
    for message in member(input, "messages")?.as_array().ok_or("messages are no list")? {
        let message = Message::from_json(chat.networks(), &message.to_string())?;
        let recovered = chat.recover(message)?;
        // The case names no keys: all messages of it are good.
        let keys: KeySet = [*recovered.key()].into_iter().collect();
        verified.extend(recovered.allow(&keys));
    }
    verified.sort_by_key(|message| (message.signed().time(), *message.digest()));
    let mut writer = ArchiveWriter::new(chat, Vec::new());
    for message in &verified {
        writer.push(message)?;
    }
    let archive = writer.finish()?;
    let digest = C::networks().get("hive").map(|hive| hive.scheme().digest(&archive));
    let digest = digest.ok_or("the chains have no hive")?;
    Ok(json!({ "archive": String::from_utf8(archive)?, "sha256_hex": hex(&digest) }))
}
