//! Who takes part in a chat: [`ChatDb::participants`], and with their keys for the REST API: `ChatParticipants`.

use alive_chat::{Account, Item, Rule, Rulebook, Standing};
use alive_core::{StreamId, backend::BackendError};

use crate::database::Database;

use super::ChatDb;

impl<D: Database> ChatDb<D> {
    /// The accounts that may write in the chat of a stream, by network and name: the streamer, and whom he or a moderator has
    /// approved and nobody has banned.
    ///
    /// # Errors
    /// [`BackendError`].
    pub async fn participants(&self, stream: &StreamId) -> Result<Vec<Account>, BackendError> {
        let chat = self.shared.chat(stream)?;
        let mut accounts = vec![chat.streamer().clone()];
        if let Some(key) = self.shared.streamer(stream).await? {
            let author = key.to_string().parse().map_err(|_| super::refused("no key"))?;
            let mut rules = Rulebook::new(chat.streamer().clone(), author);
            for delivery in self.shared.all_rules(&chat, &key).await? {
                let Item::Entry(entry) = delivery.item else { continue };
                if let Rule::Participant(account) = &entry.rule {
                    accounts.push(account.clone());
                }
                rules.apply(entry);
            }
            accounts.retain(|account| rules.standing(account) == Standing::Approved);
        }
        accounts.sort_unstable();
        accounts.dedup();
        Ok(accounts)
    }
}

#[cfg(feature = "rest")]
pub use keys::ChatParticipants;

#[cfg(feature = "rest")]
mod keys {
    use std::fmt;

    use alive_chat::Account;
    use alive_core::{
        Network, StreamId,
        backend::{AccountKeys as _, BackendError, PublicKeyBytes, SharedAccountKeys},
    };
    use futures_util::{StreamExt as _, stream};

    use crate::{
        chat::{BACKEND, ChatDb, FETCHES},
        database::Database,
        rest::{Participants, ParticipantsKeys},
    };

    /// The participants of one chat with the keys that they have on their chains now, for
    /// [`RestApi`](crate::rest::RestApi). Accounts of a network whose keys nobody tells are left out, as are those that their
    /// chain does not know.
    pub struct ChatParticipants<D> {
        chat: ChatDb<D>,
        stream: StreamId,
        chains: Vec<SharedAccountKeys>,
        write: fn(&Network, &PublicKeyBytes) -> String,
    }

    impl<D: Database> ChatParticipants<D> {
        /// The participants of the chat of a stream. `write` makes the text of a key as its network has it.
        pub fn new(
            chat: ChatDb<D>,
            stream: StreamId,
            chains: Vec<SharedAccountKeys>,
            write: fn(&Network, &PublicKeyBytes) -> String,
        ) -> Self {
            Self { chat, stream, chains, write }
        }

        async fn keys_of(
            &self,
            account: Account,
        ) -> Result<Option<(Account, Vec<Box<str>>)>, BackendError> {
            let chain = self.chains.iter().find(|chain| chain.network() == account.network());
            let Some(chain) = chain else { return Ok(None) };
            let authority = chain.authority(account.name()).await.map_err(|error| {
                BackendError::Unavailable { backend: BACKEND, source: error.into() }
            })?;
            let Some(authority) = authority else { return Ok(None) };
            let mut keys: Vec<Box<str>> = Vec::new();
            for role in [&authority.posting, &authority.active, &authority.owner] {
                for (key, _) in &role.keys {
                    let text = (self.write)(account.network(), key).into_boxed_str();
                    if !keys.contains(&text) {
                        keys.push(text);
                    }
                }
            }
            Ok(Some((account, keys)))
        }
    }

    impl<D: Database> Participants for ChatParticipants<D> {
        async fn keys(&self) -> Result<ParticipantsKeys, BackendError> {
            let accounts = self.chat.participants(&self.stream).await?;
            let asked = stream::iter(accounts).map(|account| self.keys_of(account));
            let answers: Vec<_> = asked.buffered(FETCHES).collect().await;
            let mut all = ParticipantsKeys::new();
            for answer in answers {
                let Some((account, keys)) = answer? else { continue };
                let network = all.entry(account.network().as_str().into()).or_default();
                network.insert(account.name().as_str().into(), keys);
            }
            Ok(all)
        }
    }

    impl<D: fmt::Debug> fmt::Debug for ChatParticipants<D> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let mut this = f.debug_struct("ChatParticipants");
            this.field("chat", &self.chat).field("stream", &self.stream).finish_non_exhaustive()
        }
    }
}
