//! Who may sign for an account, and how a signature tells its key: [`AccountKeys`] and [`SignatureScheme`].

use std::{fmt, fmt::Debug, future::Future, sync::Arc};

use crate::account::{AccountName, Network};

use super::{Boxed, Cause};

/// The digest that a signature signs.
pub type Digest = [u8; 32];

/// A public key: 33 bytes, SEC1 compressed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKeyBytes(pub [u8; 33]);

impl Debug for PublicKeyBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKeyBytes(")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// What a key of an account may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// Move funds.
    Active,
    /// Everything, and change the other keys.
    Owner,
    /// Post: all that streaming needs.
    Posting,
}

/// Who can act in one role: keys and other accounts, by weight.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authority {
    /// The weight that the signers must reach together.
    pub threshold: u32,
    /// Keys and their weights.
    pub keys: Vec<(PublicKeyBytes, u16)>,
    /// Accounts and their weights; each counts when its own authority of the same role is met.
    pub accounts: Vec<(AccountName, u16)>,
}

impl Authority {
    /// Whether this key alone reaches the threshold.
    pub fn is_met_by(&self, key: &PublicKeyBytes) -> bool {
        self.keys.iter().any(|(known, weight)| known == key && u32::from(*weight) >= self.threshold)
    }
}

/// The authorities of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountAuthority {
    /// Who moves funds.
    pub active: Authority,
    /// Who owns it.
    pub owner: Authority,
    /// Who posts.
    pub posting: Authority,
}

impl AccountAuthority {
    /// The authority of one role.
    pub fn of(&self, role: Role) -> &Authority {
        match role {
            Role::Active => &self.active,
            Role::Owner => &self.owner,
            Role::Posting => &self.posting,
        }
    }
}

/// Tells the keys of accounts.
///
/// A backend is done when it passes `alive_core::testing::account_keys` (feature `testing`).
pub trait AccountKeys: Debug + Send + Sync {
    /// The authorities of an account, `None` when there is no such account.
    ///
    /// # Errors
    /// The backend cannot be reached or failed.
    fn authority(
        &self,
        account: &AccountName,
    ) -> impl Future<Output = Result<Option<AccountAuthority>, KeysError>> + Send;

    /// The same, asked by one to whom a signature did not match what [`authority`](Self::authority) said: a backend that
    /// remembers answers looks whether the keys have changed, unless it has just done so.
    ///
    /// # Errors
    /// The backend cannot be reached or failed.
    fn authority_again(
        &self,
        account: &AccountName,
    ) -> impl Future<Output = Result<Option<AccountAuthority>, KeysError>> + Send {
        self.authority(account)
    }

    /// Tells that a block changed the account: what a backend remembers of it is wrong from now on.
    fn forget(&self, account: &AccountName) {
        // A backend that remembers nothing has nothing to forget.
        let _ = account;
    }

    /// The chain.
    fn network(&self) -> &Network;
}

/// Why [`AccountKeys`] gave no answer; trying again may help.
#[derive(Debug, thiserror::Error)]
#[error("{backend} is unavailable")]
pub struct KeysError {
    /// Which backend.
    pub backend: &'static str,
    /// Why.
    pub source: Cause,
}

/// How one family of chains signs texts: pure functions, no I/O.
///
/// A scheme is done when it passes `alive_core::testing::signature_scheme` (feature `testing`).
pub trait SignatureScheme: Debug + Send + Sync {
    /// What is signed for a message.
    fn digest(&self, message: &[u8]) -> Digest;

    /// The key that made a signature, given as the text its chain uses.
    ///
    /// # Errors
    /// The text is no signature, or no key made it.
    fn recover(&self, digest: &Digest, signature: &str) -> Result<PublicKeyBytes, SignatureError>;
}

/// Why a signature tells no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The text has not the form of a signature.
    #[error("not a signature: {0}")]
    Form(&'static str),
    /// No key makes this signature of this digest.
    #[error("no key is recovered from the signature")]
    NoKey,
}

/// Any [`AccountKeys`], its type erased.
#[derive(Clone, Debug)]
pub struct SharedAccountKeys(Arc<dyn Erased>);

impl SharedAccountKeys {
    /// Wraps a backend chosen at run time.
    pub fn new(backend: impl AccountKeys + 'static) -> Self {
        Self(Arc::new(backend))
    }
}

impl AccountKeys for SharedAccountKeys {
    async fn authority(
        &self,
        account: &AccountName,
    ) -> Result<Option<AccountAuthority>, KeysError> {
        self.0.authority_boxed(account).await
    }

    async fn authority_again(
        &self,
        account: &AccountName,
    ) -> Result<Option<AccountAuthority>, KeysError> {
        self.0.authority_again_boxed(account).await
    }

    fn forget(&self, account: &AccountName) {
        self.0.forget_erased(account);
    }

    fn network(&self) -> &Network {
        self.0.network_erased()
    }
}

trait Erased: Debug + Send + Sync {
    fn authority_boxed<'a>(
        &'a self,
        account: &'a AccountName,
    ) -> Boxed<'a, Result<Option<AccountAuthority>, KeysError>>;
    fn authority_again_boxed<'a>(
        &'a self,
        account: &'a AccountName,
    ) -> Boxed<'a, Result<Option<AccountAuthority>, KeysError>>;
    fn forget_erased(&self, account: &AccountName);
    fn network_erased(&self) -> &Network;
}

impl<K: AccountKeys> Erased for K {
    fn authority_boxed<'a>(
        &'a self,
        account: &'a AccountName,
    ) -> Boxed<'a, Result<Option<AccountAuthority>, KeysError>> {
        Box::pin(self.authority(account))
    }

    fn authority_again_boxed<'a>(
        &'a self,
        account: &'a AccountName,
    ) -> Boxed<'a, Result<Option<AccountAuthority>, KeysError>> {
        Box::pin(self.authority_again(account))
    }

    fn forget_erased(&self, account: &AccountName) {
        self.forget(account);
    }

    fn network_erased(&self) -> &Network {
        self.network()
    }
}

/// Any [`SignatureScheme`]. It has no futures, so it needs no twin.
pub type SharedSignatureScheme = Arc<dyn SignatureScheme>;
