//! Users and tokens: what the routes do about passwords and signatures. [`TokenIssuer`].

use std::{
    collections::HashMap,
    fmt::Debug,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use alive_core::backend::{AccountKeys as _, SharedAccountKeys, SharedSignatureScheme};
use zeroize::Zeroizing;

use crate::{
    database::{Database, DatabaseError},
    gun::{NodeDelta, Put, Value},
    json::Text,
    sea::{Account, AccountError, KeyError, KeyPair, PublicKey, UserSpace},
    token::{Claims, ClaimsError, LoginError, LoginMessage, Secret},
};

use super::RestApi;

impl<D: Database> RestApi<D> {
    /// Most accounts of one alias whose password is tried: the index of an alias is open to all. Who logs in by his
    /// public key has only one.
    const MAX_ACCOUNTS: usize = 16;

    /// Makes a user and logs him in.
    ///
    /// # Errors
    /// [`UserError`].
    pub async fn create_user(&self, alias: &str, password: &str) -> Result<PublicKey, UserError> {
        // Before anything that takes time, as the original.
        if password.encode_utf16().count() < Account::MIN_PASSWORD {
            return Err(AccountError::Short.into());
        }
        let index = Account::alias_soul(alias);
        let known = self.shared.database.node(&index).await?;
        if known.is_some_and(|index| !index.entries.is_empty()) {
            return Err(UserError::Taken);
        }
        let (alias_text, password) = (alias.to_owned(), Zeroizing::new(password.to_owned()));
        let random = random()?;
        let state = self.shared.database.next_state();
        let made = self.work(move || {
            let keys = KeyPair::generate()?;
            let delta = Account::create(&alias_text, &password, &keys, random, state)?;
            Ok((keys, delta))
        });
        let (keys, delta) = made.await?;
        self.shared.database.put(delta).await?;
        let public = keys.public().clone();
        self.set_user(alias, keys);
        Ok(public)
    }

    /// Logs a user in by his alias.
    ///
    /// # Errors
    /// [`UserError`].
    pub async fn login(&self, alias: &str, password: &str) -> Result<(), UserError> {
        let keys = self.open(alias, password).await?;
        self.set_user(alias, keys);
        Ok(())
    }

    /// Logs a user in by his public key.
    ///
    /// # Errors
    /// [`UserError`].
    pub async fn login_by_key(&self, public: &str, password: &str) -> Result<(), UserError> {
        let (alias, keys) = self.open_by_key(public, password).await?;
        self.set_user(&alias, keys);
        Ok(())
    }

    /// Changes a user's password and logs him in.
    ///
    /// # Errors
    /// [`UserError`].
    pub async fn change_password(
        &self,
        who: Who<'_>,
        password: &str,
        new: &str,
    ) -> Result<(), UserError> {
        if new.encode_utf16().count() < Account::MIN_PASSWORD {
            return Err(AccountError::Short.into());
        }
        let (alias, keys) = match who {
            Who::Alias(alias) => (alias.into(), self.open(alias, password).await?),
            Who::Key(public) => self.open_by_key(public, password).await?,
        };
        let (new, random) = (Zeroizing::new(new.to_owned()), random()?);
        let state = self.shared.database.next_state();
        let made = self.work(move || {
            let delta = Account::change_password(&new, &keys, random, state)?;
            Ok((keys, delta))
        });
        let (keys, delta) = made.await?;
        self.shared.database.put(delta).await?;
        self.set_user(&alias, keys);
        Ok(())
    }

    async fn open(&self, alias: &str, password: &str) -> Result<KeyPair, UserError> {
        let index = self.shared.database.node(&Account::alias_soul(alias)).await?;
        let souls = index.into_iter().flat_map(|index| index.entries);
        let souls = souls.filter_map(|(_, value, _)| match value {
            Value::Link(soul) => Some(soul),
            _ => None,
        });
        for soul in souls.take(Self::MAX_ACCOUNTS) {
            let Some((_, account)) = self.account(&soul).await? else { continue };
            match self.try_password(account, password).await {
                Err(UserError::Account(AccountError::Wrong)) => {}
                done => return done,
            }
        }
        Err(AccountError::Wrong.into())
    }

    async fn open_by_key(
        &self,
        public: &str,
        password: &str,
    ) -> Result<(Box<str>, KeyPair), UserError> {
        let soul = public.parse().map(|key| Account::soul(&key));
        let soul = soul.map_err(|_: KeyError| UserError::NoKey)?;
        let (alias, account) = self.account(&soul).await?.ok_or(UserError::NoKey)?;
        Ok((alias, self.try_password(account, password).await?))
    }

    async fn try_password(&self, account: Account, password: &str) -> Result<KeyPair, UserError> {
        let password = Zeroizing::new(password.to_owned());
        self.work(move || Ok(account.open(&password)?)).await
    }

    /// An account and its alias; `None` if there is none, or a part of it is missing.
    async fn account(&self, soul: &Text) -> Result<Option<(Box<str>, Account)>, UserError> {
        let Some(node) = self.shared.database.node(soul).await? else {
            return Ok(None);
        };
        Ok(read_account(&node))
    }

    /// Does what takes a core for long, a few at a time.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, UserError> + Send + 'static,
    ) -> Result<T, UserError> {
        let _permit = self.shared.work.acquire().await.map_err(|_| UserError::Stopped)?;
        tokio::task::spawn_blocking(work).await.map_err(|_| UserError::Stopped)?
    }
}

/// Which user.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a user has these two names")]
pub enum Who<'a> {
    /// By his alias, which others may have, too.
    Alias(&'a str),
    /// By his public key.
    Key(&'a str),
}

/// Why a user is not logged in, in the words of the original.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UserError {
    /// The account does not open, or cannot be made.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The database did not do it.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// Nobody has this public key.
    #[error("Public key does not exist")]
    NoKey,
    /// The process is ending.
    #[error("the process is ending")]
    Stopped,
    /// Somebody has the alias.
    #[error("User already created!")]
    Taken,
}

impl From<KeyError> for UserError {
    fn from(error: KeyError) -> Self {
        Self::Account(error.into())
    }
}

fn read_account(node: &NodeDelta) -> Option<(Box<str>, Account)> {
    let rules = UserSpace::default();
    let text = |name: &str| {
        let (key, value, state) = node.entries.iter().find(|(key, ..)| key == name)?;
        match rules.plain(Put { soul: &node.soul, key, value, state: *state })? {
            Value::Text(text) => Some(text),
            // The original's own reader takes the record as an object, too; no version writes it so.
            _ => None,
        }
    };
    let public: PublicKey = text("pub")?.as_str()?.parse().ok()?;
    if Account::soul(&public) != node.soul {
        return None;
    }
    let exchange = text("epub")?.as_str()?.parse().ok()?;
    let alias = text("alias").map(|alias| alias.to_str_lossy()).unwrap_or_default();
    Some((alias.into(), Account { public, exchange, auth: text("auth")? }))
}

fn random<const N: usize>() -> Result<[u8; N], UserError> {
    let mut random = [0; N];
    getrandom::fill(&mut random).map_err(|_| KeyError::Library)?;
    Ok(random)
}

/// How tokens are given out. The default is that of the original.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenConfig {
    /// The name of this service in messages and tokens.
    pub auth_identifier: Box<str>,
    /// How many blocks may follow the one that a message names.
    pub timeout_blocks: u64,
    /// How long a token counts.
    pub expiry: Duration,
}

impl Default for TokenConfig {
    fn default() -> Self {
        Self {
            auth_identifier: "alivedb_login".into(),
            timeout_blocks: 20,
            expiry: Duration::from_hours(24),
        }
    }
}

/// Gives out tokens for signed messages, each message once.
#[derive(Debug)]
pub struct TokenIssuer {
    config: TokenConfig,
    secret: Secret,
    keys: SharedAccountKeys,
    scheme: SharedSignatureScheme,
    chain: SharedLoginChain,
    /// Messages that have been used, by their digest, and the block that ends each. A signature can be written in
    /// several forms, what it signs in one.
    used: Mutex<HashMap<[u8; 32], u64>>,
}

impl TokenIssuer {
    /// Most messages that are remembered.
    const MAX_USED: usize = 100_000;

    /// Asks this chain who may sign and which block is the last.
    pub fn new(
        config: TokenConfig,
        secret: Secret,
        keys: SharedAccountKeys,
        scheme: SharedSignatureScheme,
        chain: SharedLoginChain,
    ) -> Self {
        Self { config, secret, keys, scheme, chain, used: Mutex::default() }
    }

    pub(super) fn auth_identifier(&self) -> &str {
        &self.config.auth_identifier
    }

    /// The claims of a token of ours, at this time.
    ///
    /// # Errors
    /// As [`Claims::verify`].
    pub fn check(&self, token: &str, now_s: f64) -> Result<Claims, ClaimsError> {
        Claims::verify(token, &self.secret, self.auth_identifier(), now_s)
    }

    /// A token for a signed message.
    ///
    /// # Errors
    /// [`LoginError`]: the message is not right, not of this time, or has been used; or the chain cannot be asked.
    pub async fn issue(&self, message: &str, now_s: f64) -> Result<String, LoginError> {
        let message = LoginMessage::parse(message, self.auth_identifier())?;
        let signer = message.signer(&*self.scheme)?;
        let known = self.keys.authority(&message.user).await;
        let authority = known.map_err(|_| LoginError::SignerUnknown)?;
        let authority = authority.ok_or(LoginError::Signature)?;
        if LoginMessage::check_signer(&signer, &authority).is_err() {
            // The keys may have changed since they were asked for.
            let again = self.keys.authority_again(&message.user).await;
            let again = again.map_err(|_| LoginError::SignerUnknown)?;
            LoginMessage::check_signer(&signer, &again.ok_or(LoginError::Signature)?)?;
        }
        let id = self.chain.block_id(message.block_num).await;
        let id = id.map_err(|_| LoginError::IdUnknown)?;
        let head = self.chain.head_num().await.map_err(|_| LoginError::ExpiryUnknown)?;
        message.check_block(id.as_deref(), head, self.config.timeout_blocks)?;
        self.use_up(&message, head)?;
        let LoginMessage { user, link, .. } = message;
        let claims = Claims {
            user,
            link,
            app: self.auth_identifier().into(),
            network: alive_core::Network::hive(),
            iat: now_s,
            exp: now_s + self.config.expiry.as_secs_f64(),
        };
        Ok(claims.sign(&self.secret))
    }

    fn use_up(&self, message: &LoginMessage, head: u64) -> Result<(), LoginError> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let digest = message.digest(&*self.scheme);
        if used.contains_key(&digest) {
            return Err(LoginError::Reused);
        }
        if used.len() >= Self::MAX_USED {
            used.retain(|_, last| *last >= head);
            if used.len() >= Self::MAX_USED {
                return Err(LoginError::TooMany);
            }
        }
        used.insert(digest, message.block_num.saturating_add(self.config.timeout_blocks));
        Ok(())
    }
}

/// What tokens need of a chain beside the keys of accounts.
pub trait LoginChain: Debug + Send + Sync {
    /// The id of the block of this number; `None` if there is none yet.
    ///
    /// # Errors
    /// The chain cannot be asked.
    fn block_id(
        &self,
        num: u64,
    ) -> impl Future<Output = Result<Option<String>, ChainUnavailable>> + Send;

    /// The number of the last block.
    ///
    /// # Errors
    /// The chain cannot be asked.
    fn head_num(&self) -> impl Future<Output = Result<u64, ChainUnavailable>> + Send;
}

/// The chain cannot be asked; trying again may help.
#[derive(Debug, thiserror::Error)]
#[error("the chain cannot be asked")]
pub struct ChainUnavailable(#[source] pub alive_core::backend::Cause);

/// Any [`LoginChain`], its type erased.
#[derive(Clone, Debug)]
pub struct SharedLoginChain(Arc<dyn Erased>);

impl SharedLoginChain {
    /// Wraps a chain chosen at run time.
    pub fn new(chain: impl LoginChain + 'static) -> Self {
        Self(Arc::new(chain))
    }
}

impl LoginChain for SharedLoginChain {
    async fn block_id(&self, num: u64) -> Result<Option<String>, ChainUnavailable> {
        self.0.block_id_boxed(num).await
    }

    async fn head_num(&self) -> Result<u64, ChainUnavailable> {
        self.0.head_num_boxed().await
    }
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, ChainUnavailable>> + Send + 'a>>;

trait Erased: Debug + Send + Sync {
    fn block_id_boxed(&self, num: u64) -> Boxed<'_, Option<String>>;
    fn head_num_boxed(&self) -> Boxed<'_, u64>;
}

impl<C: LoginChain> Erased for C {
    fn block_id_boxed(&self, num: u64) -> Boxed<'_, Option<String>> {
        Box::pin(self.block_id(num))
    }

    fn head_num_boxed(&self) -> Boxed<'_, u64> {
        Box::pin(self.head_num())
    }
}
