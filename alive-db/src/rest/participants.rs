//! Who takes part in the chat that this process follows, and their keys: [`Participants`].

use std::{collections::BTreeMap, fmt::Debug, future::Future, pin::Pin, sync::Arc};

use alive_core::backend::BackendError;

/// The keys of accounts as their network writes them, by network and account.
pub type ParticipantsKeys = BTreeMap<Box<str>, BTreeMap<Box<str>, Vec<Box<str>>>>;

/// Tells what `GET /fetchParticipantsKeys` answers.
pub trait Participants: Debug + Send + Sync {
    /// Everybody who takes part, with the keys that count for him.
    ///
    /// # Errors
    /// The database or a chain cannot be asked.
    fn keys(&self) -> impl Future<Output = Result<ParticipantsKeys, BackendError>> + Send;
}

/// Any [`Participants`], its type erased.
#[derive(Clone, Debug)]
pub struct SharedParticipants(Arc<dyn Erased>);

impl SharedParticipants {
    /// Wraps what was chosen at run time.
    pub fn new(participants: impl Participants + 'static) -> Self {
        Self(Arc::new(participants))
    }
}

impl Participants for SharedParticipants {
    async fn keys(&self) -> Result<ParticipantsKeys, BackendError> {
        self.0.keys_boxed().await
    }
}

type Boxed<'a> = Pin<Box<dyn Future<Output = Result<ParticipantsKeys, BackendError>> + Send + 'a>>;

trait Erased: Debug + Send + Sync {
    fn keys_boxed(&self) -> Boxed<'_>;
}

impl<P: Participants> Erased for P {
    fn keys_boxed(&self) -> Boxed<'_> {
        Box::pin(self.keys())
    }
}
