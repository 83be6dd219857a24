//! The REST API of the original: [`RestApi`].
//!
//! Every route, shape and status of the original, without its holes: user routes answer to the own machine only and are
//! limited in their rate, pushes from elsewhere need a token, every refusal is JSON that says nothing of the inside, and
//! no input panics. Source: `spec/alivedb.md`, sections 7 and 9.
//!
//! | route | in | out |
//! |---|---|---|
//! | `GET /` | | `{"ok":1,"message":"AliveDB server"}` |
//! | `POST /createUser` | `{id?,key}` | `{"id","pub"}`; the user is logged in |
//! | `POST /loginUser` | `{id` or `pub,key}` | `{"success":true}` |
//! | `POST /changeKey` | `{id` or `pub,key,newkey}` | `{"success":true}`; the user is logged in |
//! | `GET /currentUser` | | `{"loggedIn":false}` or who is |
//! | `GET /fetchParticipantsKeys` | | `{network:{account:[keys]}}`; 500 without a [chat](RestApi::with_participants) |
//! | `POST /getToken` | a signed message, see [`token`](crate::token) | `{"access_token","error":null}` |
//! | `POST /pushStream` | `{network,streamer,link,stream}` | `{"success":true}` once it is stored |
//! | `GET /getStream` | `pub,network,streamer,link,ts?` | the segments |

mod answer;
#[doc(hidden)]
pub mod fuzzing;
mod limiter;
mod login;
mod metrics;
mod participants;
mod routes;
mod server;
mod settings;
pub mod validate;

pub use login::{
    ChainUnavailable, LoginChain, SharedLoginChain, TokenConfig, TokenIssuer, UserError, Who,
};
pub use metrics::metrics;
pub use participants::{Participants, ParticipantsKeys, SharedParticipants};
pub use server::{Listener, Peer, serve};
pub use settings::{HttpAddress, Settings, SettingsError};

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use alive_core::StreamId;
use axum::Router;
use tokio::sync::{Semaphore, watch};

use crate::{
    database::Database,
    live_cache::{AliveDb, PushError},
    schema::NewItem,
    sea::{KeyPair, PublicKey},
};
use limiter::Limiter;

/// How the API works.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestConfig {
    /// Whether other machines may create users, log in and change passwords, and push without a token. Whoever can,
    /// pushes as the user that is logged in.
    pub remote_users: bool,
    /// How many calls that try a password or a signature one address may make at once; beyond it one a second. An IPv6
    /// address counts as its /64.
    pub burst: u32,
}

impl RestConfig {
    /// Sets [`remote_users`](Self::remote_users).
    #[must_use]
    pub fn remote_users(self, remote_users: bool) -> Self {
        Self { remote_users, ..self }
    }

    /// Sets [`burst`](Self::burst), at least one.
    #[must_use]
    pub fn burst(self, burst: u32) -> Self {
        Self { burst: burst.max(1), ..self }
    }
}

impl Default for RestConfig {
    fn default() -> Self {
        Self { remote_users: false, burst: 30 }
    }
}

/// The API over a database, and the one user of this process.
///
/// ```
/// use std::sync::Arc;
/// use alive_db::{memory::MemoryDatabase, rest::{RestApi, RestConfig}};
/// let api = RestApi::new(Arc::new(MemoryDatabase::default()), RestConfig::default());
/// let router = api.router(); // for `alive_db::rest::serve`
/// ```
#[derive(Debug)]
pub struct RestApi<D> {
    shared: Arc<Shared<D>>,
}

#[derive(Debug)]
struct Shared<D> {
    database: Arc<D>,
    anyone: AliveDb<D>,
    user: RwLock<Option<User<D>>>,
    logins: watch::Sender<Option<Arc<KeyPair>>>,
    tokens: Option<TokenIssuer>,
    config: RestConfig,
    limiter: Limiter,
    participants: OnceLock<SharedParticipants>,
    /// Passwords that are being stirred.
    work: Semaphore,
}

/// Who is logged in.
#[derive(Debug)]
struct User<D> {
    alias: Box<str>,
    keys: Arc<KeyPair>,
    cache: AliveDb<D>,
}

impl<D> Clone for User<D> {
    fn clone(&self) -> Self {
        let (alias, keys) = (self.alias.clone(), Arc::clone(&self.keys));
        Self { alias, keys, cache: self.cache.clone() }
    }
}

impl<D> Clone for RestApi<D> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<D: Database> RestApi<D> {
    /// How many passwords are stirred at once: each takes a core for about 50 ms.
    const WORKERS: usize = 2;

    /// An API without tokens, nobody logged in.
    pub fn new(database: Arc<D>, config: RestConfig) -> Self {
        Self::build(database, config, None)
    }

    /// An API whose pushes need an access token.
    pub fn with_tokens(database: Arc<D>, config: RestConfig, tokens: TokenIssuer) -> Self {
        Self::build(database, config, Some(tokens))
    }

    fn build(database: Arc<D>, config: RestConfig, tokens: Option<TokenIssuer>) -> Self {
        let shared = Shared {
            anyone: AliveDb::anonymous(Arc::clone(&database)),
            database,
            user: RwLock::new(None),
            logins: watch::Sender::new(None),
            tokens,
            limiter: Limiter::new(config.burst),
            participants: OnceLock::new(),
            config,
            work: Semaphore::new(Self::WORKERS),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Tells who takes part in a chat, and their keys, at `/fetchParticipantsKeys`; the first ones count.
    #[must_use]
    pub fn with_participants(self, participants: SharedParticipants) -> Self {
        self.shared.participants.get_or_init(|| participants);
        self
    }

    /// The routes. Serve them with [`serve`], which tells them who asks; without it all ask from elsewhere.
    pub fn router(&self) -> Router {
        routes::router(self.clone())
    }

    /// The key of the user that is logged in.
    pub fn user(&self) -> Option<PublicKey> {
        self.logged_in().map(|user| user.keys.public().clone())
    }

    /// The keys of the user that is logged in, now and whenever somebody logs in: for what works in his name beside the API,
    /// such as the listener of a chat.
    pub fn logins(&self) -> watch::Receiver<Option<Arc<KeyPair>>> {
        self.shared.logins.subscribe()
    }

    /// The segments of the user that is logged in, to push to and to list.
    pub fn live_cache(&self) -> Option<AliveDb<D>> {
        self.logged_in().map(|user| user.cache)
    }

    fn logged_in(&self) -> Option<User<D>> {
        self.shared.user.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_user(&self, alias: &str, keys: KeyPair) {
        let keys = Arc::new(keys);
        let cache = AliveDb::writer(Arc::clone(&self.shared.database), Arc::clone(&keys));
        let user = User { alias: alias.into(), keys: Arc::clone(&keys), cache };
        *self.shared.user.write().unwrap_or_else(PoisonError::into_inner) = Some(user);
        self.shared.logins.send_replace(Some(keys));
    }

    /// Pushes as the user that is logged in.
    async fn push(&self, stream: &StreamId, item: &NewItem) -> Option<Result<(), PushError>> {
        let user = self.logged_in()?;
        Some(user.cache.push_item(stream, item).await)
    }
}
