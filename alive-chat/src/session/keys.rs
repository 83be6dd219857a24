//! Questions to the chains: [`Questions`].

use std::{collections::VecDeque, future::Future, pin::Pin, time::Duration};

use alive_core::backend::{AccountAuthority, AccountKeys as _, SharedAccountKeys};
use futures_util::{StreamExt as _, stream::FuturesUnordered};

use crate::networks::Account;

/// Who wants the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    Desk,
    Room,
}

/// An answer about the keys of an account; an error when they cannot be had now.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) account: Account,
    pub(super) asker: Asker,
    pub(super) authority: Result<Option<AccountAuthority>, ()>,
}

/// Questions for keys, a few at a time. The engines bound how many there are.
#[derive(Default)]
pub(super) struct Questions {
    running: FuturesUnordered<Pin<Box<dyn Future<Output = Answer> + Send>>>,
    waiting: VecDeque<Pin<Box<dyn Future<Output = Answer> + Send>>>,
}

impl Questions {
    /// How many are asked at once.
    const AT_ONCE: usize = 16;
    /// How long a chain may take to answer.
    const PATIENCE: Duration = Duration::from_secs(15);

    /// Asks for keys. Without a chain that knows the account the answer is that they cannot be had.
    pub(super) fn ask(
        &mut self,
        keys: Option<SharedAccountKeys>,
        account: Account,
        again: bool,
        asker: Asker,
    ) {
        self.waiting.push_back(Box::pin(async move {
            let authority = match keys {
                None => Err(()),
                Some(keys) => {
                    let asked = async {
                        if again {
                            keys.authority_again(account.name()).await
                        } else {
                            keys.authority(account.name()).await
                        }
                    };
                    match tokio::time::timeout(Self::PATIENCE, asked).await {
                        Ok(Ok(authority)) => Ok(authority),
                        Ok(Err(_)) | Err(_) => Err(()),
                    }
                }
            };
            Answer { account, asker, authority }
        }));
        self.start();
    }

    /// The next answer; `None` when nothing was asked.
    pub(super) async fn next(&mut self) -> Option<Answer> {
        let answer = self.running.next().await;
        self.start();
        answer
    }

    /// Whether nothing is being asked.
    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    fn start(&mut self) {
        while self.running.len() < Self::AT_ONCE
            && let Some(question) = self.waiting.pop_front()
        {
            self.running.push(question);
        }
    }
}
