//! The chat of one stream, as signatures see it: [`StreamChat`].

use std::{num::NonZeroUsize, panic, sync::Arc, thread};

use alive_core::{
    StreamId,
    backend::{Digest, SignatureError},
};

use crate::{
    fields::SignatureText,
    message::Message,
    moment::Moment,
    networks::{Account, AccountError, Networks},
    request::AccessRequest,
    verified::Recovered,
};

/// The chat of one stream: every signature is bound to it. A clone is a handle to the same.
///
/// ```
/// # use alive_chat::{Family, Networks, Moment};
/// # use alive_hive::{GraphenePlain, is_account_name};
/// # let networks = Networks::new([Family::new("hive".parse()?, GraphenePlain, is_account_name)])?;
/// use alive_chat::StreamChat;
/// let chat = StreamChat::new(networks.clone(), "hive/techcoderx/live-1".parse()?)?;
/// let alice = networks.account("hive", "alice")?;
/// let time = Moment::from_ms(1_795_219_380_221.0).ok_or("finite")?;
/// let text = chat.message_text(&alice, time, "hello");
/// assert_eq!(text, "1795219380221_alice_hive_hello_hive/techcoderx/live-1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct StreamChat(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    networks: Networks,
    id: StreamId,
    streamer: Account,
    path: Box<str>,
}

impl StreamChat {
    /// The chat of this stream.
    ///
    /// # Errors
    /// The stream's network is not of the chat, or its streamer cannot be an account there.
    pub fn new(networks: Networks, id: StreamId) -> Result<Self, AccountError> {
        let streamer = networks.account(id.network.as_str(), id.account.as_str())?;
        let path = id.to_string().into();
        Ok(Self(Arc::new(Inner { networks, id, streamer, path })))
    }

    /// The stream.
    pub fn id(&self) -> &StreamId {
        &self.0.id
    }

    /// The stream's name as signed texts and paths have it: `hive/alice/stream1`.
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// The streamer as a chatter.
    pub fn streamer(&self) -> &Account {
        &self.0.streamer
    }

    /// The networks whose accounts may take part.
    pub fn networks(&self) -> &Networks {
        &self.0.networks
    }

    /// The exact text that is hashed and signed for a message. Source: `spec/alivedb.md`, section 8.2.
    pub fn message_text(&self, account: &Account, time: Moment, text: &str) -> String {
        format!("{time}_{}_{}_{text}_{}", account.name(), account.network(), self.path())
    }

    /// The exact text that is hashed and signed for a request. Source: `spec/alivedb.md`, section 8.2.
    pub fn request_text(&self, account: &Account, time: Moment) -> String {
        let (name, network) = (account.name(), account.network());
        format!("alivedb_chat_request_{time}_{name}_{network}_{}", self.path())
    }

    /// The digest of a message: what tells messages apart. Signatures do not: others can change their form.
    ///
    /// # Errors
    /// [`SignatureError::Form`]: the message was read for another chat, and this one has not its network.
    pub fn digest<M: Signed>(&self, signed: &M) -> Result<Digest, SignatureError> {
        let family = self.networks().get(signed.account().network().as_str());
        let family = family.ok_or(SignatureError::Form("its network is not of this chat"))?;
        Ok(family.scheme().digest(signed.signed_text(self).as_bytes()))
    }

    /// Finds the key that signed for this stream. A message that was signed for another one gives some key that nobody
    /// has.
    ///
    /// # Errors
    /// The signature is none, or no key made it.
    pub fn recover<M: Signed>(&self, signed: M) -> Result<Recovered<M>, SignatureError> {
        let digest = self.digest(&signed)?;
        self.recover_digest(signed, digest)
    }

    pub(crate) fn recover_digest<M: Signed>(
        &self,
        signed: M,
        digest: Digest,
    ) -> Result<Recovered<M>, SignatureError> {
        let family = self.networks().get(signed.account().network().as_str());
        let family = family.ok_or(SignatureError::Form("its network is not of this chat"))?;
        let key = family.scheme().recover(&digest, &signed.signature().joined())?;
        Ok(Recovered::new(signed, digest, key))
    }

    /// The same of many, on `threads` threads; the answers are in the order of the messages.
    pub fn recover_all(
        &self,
        mut messages: Vec<Message>,
        threads: NonZeroUsize,
    ) -> Vec<Result<Recovered<Message>, SignatureError>> {
        let one = |part: Vec<Message>| -> Vec<_> {
            part.into_iter().map(|message| self.recover(message)).collect()
        };
        let share = messages.len().div_ceil(threads.get()).max(1);
        let mut parts = Vec::new();
        while messages.len() > share {
            let rest = messages.split_off(share);
            parts.push(std::mem::replace(&mut messages, rest));
        }
        thread::scope(|scope| {
            let others: Vec<_> =
                parts.into_iter().map(|part| scope.spawn(move || one(part))).collect();
            let last = one(messages);
            let others = others.into_iter().flat_map(|thread| match thread.join() {
                Ok(part) => part,
                Err(panic) => panic::resume_unwind(panic),
            });
            others.chain(last).collect()
        })
    }
}

/// What can be signed for a chat: [`Message`] and [`AccessRequest`].
pub trait Signed: sealed::Sealed {
    /// Who says to have signed.
    fn account(&self) -> &Account;
    /// The signature, unchecked.
    fn signature(&self) -> &SignatureText;
    /// When, by the clock of the one who signed.
    fn time(&self) -> Moment;
    /// The exact text that is hashed and signed.
    fn signed_text(&self, chat: &StreamChat) -> String;
}

mod sealed {
    #[expect(unnameable_types, reason = "nobody else may sign other things for a chat")]
    pub trait Sealed {}
    impl Sealed for super::Message {}
    impl Sealed for super::AccessRequest {}
}

impl Signed for Message {
    fn account(&self) -> &Account {
        self.account()
    }

    fn signature(&self) -> &SignatureText {
        self.signature()
    }

    fn time(&self) -> Moment {
        self.time()
    }

    fn signed_text(&self, chat: &StreamChat) -> String {
        chat.message_text(self.account(), self.time(), self.text())
    }
}

impl Signed for AccessRequest {
    fn account(&self) -> &Account {
        self.account()
    }

    fn signature(&self) -> &SignatureText {
        self.signature()
    }

    fn time(&self) -> Moment {
        self.time()
    }

    fn signed_text(&self, chat: &StreamChat) -> String {
        chat.request_text(self.account(), self.time())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{chat, keys_of, message};

    #[test]
    fn a_message_counts_only_for_the_stream_it_was_signed_for() {
        let message = message("hive/alice", 5.0, "hello");
        let here = chat("hive/techcoderx/live-1");
        let keys = keys_of("hive/alice");
        assert!(here.recover(message.clone()).unwrap().is_allowed(&keys));
        for other in ["hive/techcoderx/live-2", "hive/techcoder/live-1", "blurt/techcoderx/live-1"]
        {
            let recovered = chat(other).recover(message.clone());
            assert!(!recovered.is_ok_and(|recovered| recovered.is_allowed(&keys)), "{other}");
        }
    }

    #[test]
    fn many_are_recovered_in_order_on_any_number_of_threads() {
        let here = chat("hive/techcoderx/live-1");
        let all: Vec<_> =
            (1..=10).map(|n| message("hive/alice", f64::from(n), &format!("m{n}"))).collect();
        for threads in 1..=12 {
            let threads = NonZeroUsize::new(threads).unwrap();
            let got = here.recover_all(all.clone(), threads);
            let got: Vec<_> = got.into_iter().map(|one| one.unwrap().signed().clone()).collect();
            assert_eq!(got, all);
        }
        assert!(here.recover_all(Vec::new(), NonZeroUsize::MIN).is_empty());
    }
}
