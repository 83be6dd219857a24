//! A chat that runs: one task around a [`Room`](crate::Room), and handles to it: [`ChatSession`].

mod config;
mod event;
mod keys;
mod task;
#[cfg(test)]
mod tests;

use std::{future::Future, sync::Arc};

use alive_core::{
    LiveKey,
    backend::{BackendError, Digest},
};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use config::{Outcome, SessionBackends, SessionConfig, system_clock};
pub use event::{SessionEvent, SessionEvents, SessionUpdate};

use crate::{
    message::Message,
    moderation::{Entry, Rule, Rulebook},
    networks::Account,
    rules::{Refusal, Standing},
    sign::{SignError, Signer},
    stream_chat::StreamChat,
    transport::{ChatTransport as _, Item},
    verified::Verified,
};

use task::{Command, Task};

/// The chat of one stream, followed: what came is verified, what counts is told to every listener.
///
/// One task holds the [`Room`](crate::Room) and, on the streamer's side, the [`RequestDesk`](crate::RequestDesk); it
/// subscribes, reads the history, asks for keys and blacklists, and begins anew when the transport fails. A clone is a
/// handle to the same session; the task ends with [`stop`](Self::stop), or with the last handle.
#[derive(Clone, Debug)]
pub struct ChatSession {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    chat: StreamChat,
    config: SessionConfig,
    backends: SessionBackends,
    commands: mpsc::Sender<Command>,
    cancel: CancellationToken,
    tasks: TaskTracker,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// What a listener starts with.
#[derive(Debug)]
#[non_exhaustive]
pub struct Joined {
    /// All that is shown now, by time and digest.
    pub messages: Vec<Arc<Verified<Message>>>,
    /// What happens from now on.
    pub events: SessionEvents,
    /// Whether the history that the transport holds has been read since it was connected; if not,
    /// [`SessionEvent::CaughtUp`] will tell.
    pub is_caught_up: bool,
}

impl ChatSession {
    /// Commands that wait for the task; a handle that finds it full waits.
    const COMMANDS: usize = 256;
    /// Events that a listener may lag behind: 20 seconds of a chat of 50 messages a second.
    pub const LAG: usize = 1024;

    /// Follows a chat on the current tokio runtime. The key is that of the streamer's user space, which the stream names on
    /// the chain.
    pub fn start(
        chat: StreamChat,
        streamer_key: LiveKey,
        backends: SessionBackends,
        config: SessionConfig,
    ) -> Self {
        let (commands, inbox) = mpsc::channel(Self::COMMANDS);
        let (told, _) = broadcast::channel(Self::LAG);
        let (cancel, tasks) = (CancellationToken::new(), TaskTracker::new());
        let task = Task::new(chat.clone(), streamer_key, backends.clone(), config.clone(), told);
        let ended = cancel.clone();
        tasks.spawn(async move {
            tokio::select! {
                () = task.run(inbox) => {}
                () = ended.cancelled() => {}
            }
        });
        tasks.close();
        Self { shared: Arc::new(Shared { chat, config, backends, commands, cancel, tasks }) }
    }

    /// What is shown now and what happens from now on, without a gap between the two.
    ///
    /// # Errors
    /// The session has stopped.
    pub async fn join(&self) -> Result<Joined, SessionError> {
        self.ask(Command::Join).await
    }

    /// All that an archive takes now; of the banned only if `keep_banned`.
    ///
    /// # Errors
    /// The session has stopped.
    pub async fn archive(
        &self,
        keep_banned: bool,
    ) -> Result<Vec<Arc<Verified<Message>>>, SessionError> {
        self.ask(|done| Command::Archive { keep_banned, done }).await
    }

    /// What is said about an account now.
    ///
    /// # Errors
    /// The session has stopped.
    pub async fn standing(&self, account: &Account) -> Result<Standing, SessionError> {
        let account = account.clone();
        self.ask(|done| Command::Standing { account, done }).await
    }

    /// Who waits for a person's yes, and whether the name could be taken for the streamer's.
    ///
    /// # Errors
    /// The session has stopped.
    pub async fn applicants(&self) -> Result<Vec<(Account, bool)>, SessionError> {
        self.ask(Command::Applicants).await
    }

    /// The rules as they stand now.
    ///
    /// # Errors
    /// The session has stopped.
    pub async fn rules(&self) -> Result<Rulebook, SessionError> {
        self.ask(Command::Rules).await
    }

    /// Says something: signed by the wallet now, published when this returns. It is shown when it comes back as everybody's
    /// messages do.
    ///
    /// # Errors
    /// The account may not write, the text is too long, the wallet did not sign, or the transport did not take it.
    pub async fn say(
        &self,
        signer: &impl Signer,
        account: &Account,
        text: &str,
    ) -> Result<Digest, SessionError> {
        let (len, max) = (text.chars().count(), self.shared.config.room.max_chars);
        if len > max {
            return Err(Refusal::Long { len, max }.into());
        }
        let standing = self.standing(account).await?;
        crate::rules::check_sender(standing, false)?;
        let now = self.now();
        let message = self.shared.chat.sign_message(signer, account, now, text).await?;
        self.publish(message).await
    }

    /// Publishes a message that was signed elsewhere, such as in a browser.
    ///
    /// # Errors
    /// It was not signed for this chat, is too long, its sender may not write, or the transport did not take it. Whether the
    /// key is one of the account's is found out when it comes back.
    pub async fn publish(&self, message: Message) -> Result<Digest, SessionError> {
        let (len, max) = (message.text().chars().count(), self.shared.config.room.max_chars);
        if len > max {
            return Err(Refusal::Long { len, max }.into());
        }
        let now = self.now();
        crate::rules::check_message_time(&message, now, crate::Arrival::Live(now))?;
        let standing = self.standing(message.account()).await?;
        crate::rules::check_sender(standing, false)?;
        let recovered = self.shared.chat.recover(message).map_err(Refusal::from)?;
        let (message, digest) = (recovered.signed().clone(), *recovered.digest());
        self.send(Item::Message(message)).await?;
        Ok(digest)
    }

    /// Asks for access for an account.
    ///
    /// # Errors
    /// It takes part already or is banned, the wallet did not sign, or the transport did not take it.
    pub async fn ask_access(
        &self,
        signer: &impl Signer,
        account: &Account,
    ) -> Result<(), SessionError> {
        crate::approval::check_applicant(self.standing(account).await?, false)?;
        let request = self.shared.chat.sign_request(signer, account, self.now()).await?;
        self.send(Item::Request(request)).await
    }

    /// Publishes a request that was signed elsewhere.
    ///
    /// # Errors
    /// As [`ask_access`](Self::ask_access).
    pub async fn publish_request(&self, request: crate::AccessRequest) -> Result<(), SessionError> {
        crate::approval::check_applicant(self.standing(request.account()).await?, false)?;
        let now = self.now();
        crate::rules::check_request_time(&request, now, now)?;
        let request = self.shared.chat.recover(request).map_err(Refusal::from)?;
        self.send(Item::Request(request.signed().clone())).await
    }

    /// Says something as the streamer or a moderator, in the space of [`SessionConfig::author`].
    ///
    /// # Errors
    /// This session has no such space, or the transport did not take it.
    pub async fn rule(&self, rule: Rule, value: f64) -> Result<(), SessionError> {
        let author = self.shared.config.author.clone().ok_or(SessionError::NoAuthor)?;
        let entry = Entry { author, rule, value, state: self.now() };
        self.send(Item::Entry(entry)).await
    }

    /// The chat.
    pub fn chat(&self) -> &StreamChat {
        &self.shared.chat
    }

    /// Ends the task and waits for its end.
    pub async fn stop(&self) {
        self.shared.cancel.cancel();
        self.shared.tasks.wait().await;
    }

    fn now(&self) -> crate::Moment {
        (self.shared.backends.clock)()
    }

    async fn send(&self, item: Item) -> Result<(), SessionError> {
        let sent = self.shared.backends.transport.publish(self.shared.chat.id(), item).await;
        sent.map_err(SessionError::Transport)
    }

    fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> impl Future<Output = Result<T, SessionError>> + Send
    where
        T: Send,
    {
        let (done, answer) = oneshot::channel();
        let command = command(done);
        async move {
            let sent = self.shared.commands.send(command).await;
            sent.map_err(|_| SessionError::Stopped)?;
            answer.await.map_err(|_| SessionError::Stopped)
        }
    }
}

/// Why a [`ChatSession`] did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// There is no user space to write rules into.
    #[error("only the streamer and moderators can do this; this session has the keys of neither")]
    NoAuthor,
    /// It would not count.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It was not signed.
    #[error("signing")]
    Sign(#[from] SignError),
    /// The session has stopped.
    #[error("the chat has stopped")]
    Stopped,
    /// The transport did not take it.
    #[error("sending")]
    Transport(#[source] BackendError),
}
