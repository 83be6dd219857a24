//! What the backends over HTTP share: requests that cannot be led astray, and answers that are read no further and no longer
//! than was agreed.
//!
//! Nothing that comes back is believed here; this file only makes sure that waiting for it ends.

mod address;
mod body;
pub(crate) mod multipart;

use std::{fmt, sync::Arc, time::Duration};

use alive_core::{
    Excerpt, GatewayUrl,
    backend::{Cause, StorageError},
};
use reqwest::{
    Client, Method, RequestBuilder, Url,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER},
    redirect::Policy,
};
use tokio::time::timeout;

pub use self::address::Reach;
pub(crate) use self::body::Answer;

/// Most of an error's text that is read, in bytes.
const ERROR_BYTES: usize = 4096;
/// Longest pause that a server may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// How long servers may take, and which may be spoken to.
///
/// A body may take `grace` and then must have come at `min_rate`: the time that an answer of `n` bytes can take is bounded
/// by `connect_timeout + answer_timeout + grace + n / min_rate`, however slowly it drips.
///
/// ```
/// use std::time::Duration;
/// use alive_storage::{HttpOptions, Reach};
/// let options = HttpOptions::default().answer_timeout(Duration::from_secs(5)).reach(Reach::Public);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HttpOptions {
    connect_timeout: Duration,
    answer_timeout: Duration,
    grace: Duration,
    min_rate: u64,
    reach: Reach,
}

impl HttpOptions {
    /// Time for making a connection. 5 seconds by default.
    #[must_use]
    pub fn connect_timeout(self, connect_timeout: Duration) -> Self {
        Self { connect_timeout, ..self }
    }

    /// Time from the request until the head of the answer; that of sending the body at the lowest rate is added. 20 seconds
    /// by default.
    #[must_use]
    pub fn answer_timeout(self, answer_timeout: Duration) -> Self {
        Self { answer_timeout, ..self }
    }

    /// Time that a body may take before its rate counts. 10 seconds by default.
    #[must_use]
    pub fn grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    /// Lowest rate of a body, in bytes a second; at least 1. 32 KiB by default.
    #[must_use]
    pub fn min_rate(self, bytes_per_second: u64) -> Self {
        Self { min_rate: bytes_per_second.max(1), ..self }
    }

    /// Which addresses are spoken to: [`Reach::Any`] for servers that the operator has named (the default),
    /// [`Reach::Public`] for those that anybody may have named.
    #[must_use]
    pub fn reach(self, reach: Reach) -> Self {
        Self { reach, ..self }
    }

    /// Time for this many bytes at the lowest rate.
    fn time_for(&self, bytes: u64) -> Duration {
        Duration::from_millis(bytes.saturating_mul(1000) / self.min_rate)
    }
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(20),
            grace: Duration::from_secs(10),
            min_rate: 32 << 10,
            reach: Reach::Any,
        }
    }
}

/// A client that follows no redirects, unpacks nothing and tells servers nothing about where it comes from.
#[derive(Clone)]
pub(crate) struct Http {
    client: Client,
    options: Arc<HttpOptions>,
}

impl Http {
    pub(crate) fn new(options: &HttpOptions) -> Result<Self, HttpError> {
        let mut builder = Client::builder()
            .connect_timeout(options.connect_timeout)
            .redirect(Policy::none())
            .referer(false)
            .no_gzip()
            .no_brotli()
            .no_deflate()
            .no_zstd()
            .user_agent(concat!("alive/", env!("CARGO_PKG_VERSION")));
        if options.reach == Reach::Public {
            // A proxy would look names up by itself.
            builder = builder.no_proxy().dns_resolver(address::PublicNames);
        }
        let client = builder.build().map_err(HttpError::transport)?;
        Ok(Self { client, options: Arc::new(options.clone()) })
    }

    /// A request to an address that may be spoken to.
    pub(crate) fn request(&self, method: Method, url: Url) -> Result<RequestBuilder, HttpError> {
        let web = matches!(url.scheme(), "http" | "https");
        let allowed = self.options.reach.allows_host(&url);
        if !web || !allowed {
            return Err(HttpError::Address(Excerpt::of(url.host_str().unwrap_or_default())));
        }
        let identity = HeaderValue::from_static("identity");
        Ok(self.client.request(method, url).header(ACCEPT_ENCODING, identity))
    }

    /// Sends a request whose body has `body_bytes`, and waits for the head of the answer.
    pub(crate) async fn send(
        &self,
        request: RequestBuilder,
        body_bytes: usize,
    ) -> Result<Answer, HttpError> {
        let time =
            self.options.answer_timeout.saturating_add(self.options.time_for(body_bytes as u64));
        let answer = timeout(time, request.send()).await;
        let answer = answer.map_err(|_| HttpError::NoAnswer)?.map_err(HttpError::transport)?;
        let encoding = answer.headers().get(CONTENT_ENCODING).map(HeaderValue::as_bytes);
        if let Some(encoding) = encoding.filter(|name| !name.eq_ignore_ascii_case(b"identity")) {
            return Err(HttpError::Encoding(Excerpt::of(&String::from_utf8_lossy(encoding))));
        }
        Ok(Answer::new(answer, Arc::clone(&self.options)))
    }

    /// Sends it and makes an error of every status but 2xx.
    pub(crate) async fn send_ok(
        &self,
        request: RequestBuilder,
        body_bytes: usize,
    ) -> Result<Answer, HttpError> {
        let answer = self.send(request, body_bytes).await?;
        if answer.status().is_success() { Ok(answer) } else { Err(answer.into_error().await) }
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("options", &self.options).finish_non_exhaustive()
    }
}

/// The address of a path below a server. `path` starts with a slash and needs no escaping.
pub(crate) fn url_of(base: &GatewayUrl, path: &str) -> Result<Url, HttpError> {
    let url = Url::parse(&format!("{}{path}", base.base()));
    url.map_err(|_| HttpError::Address(Excerpt::of(base.as_str())))
}

/// Where a redirect leads.
pub(crate) fn location(answer: &Answer, from: &Url) -> Option<Url> {
    from.join(answer.header(&LOCATION)?).ok()
}

/// The pause that a server asks for, in whole seconds; a date is not understood.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}

/// Why a server did not answer as agreed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The answer is not what the protocol of the server says.
    #[error("the answer cannot be understood: {0}")]
    Answer(Excerpt),
    /// This host is not on the public internet, or is no host.
    #[error("host {0} must not be spoken to")]
    Address(Excerpt),
    /// The answer is packed, which was not asked for.
    #[error("the answer has content encoding {0}, which was not asked for")]
    Encoding(Excerpt),
    /// The server did not answer in time.
    #[error("no answer in time")]
    NoAnswer,
    /// It leads to this host, where it is not followed.
    #[error("redirected to {0}, which is not followed")]
    Redirect(Excerpt),
    /// The server sends on, but too slowly, or has stopped.
    #[error("the answer came too slowly, {received} bytes until then")]
    Slow {
        /// Bytes that came.
        received: u64,
    },
    /// The server says why it did not.
    #[error("status {status}: {message}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// The start of what it says.
        message: Excerpt,
        /// How long to wait before asking again.
        retry_after: Option<Duration>,
    },
    /// There is more of it than was agreed.
    #[error("answer of more than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The server cannot be reached, or the connection broke.
    #[error("connection failed")]
    Transport(#[source] Cause),
}

impl HttpError {
    /// The address is left out: it may hold a token.
    pub(crate) fn transport(error: reqwest::Error) -> Self {
        Self::Transport(error.without_url().into())
    }

    pub(crate) fn answer(text: impl AsRef<str>) -> Self {
        Self::Answer(Excerpt::of(text.as_ref()))
    }

    /// The status that the server answered.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the same request may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500..),
            Self::NoAnswer | Self::Slow { .. } | Self::Transport(_) => true,
            Self::Address(_)
            | Self::Answer(_)
            | Self::Encoding(_)
            | Self::Redirect(_)
            | Self::TooLarge { .. } => false,
        }
    }
}

/// What a named server did not do.
#[derive(Debug, thiserror::Error)]
#[error("{server} did not do it")]
pub(crate) struct At<E: std::error::Error + 'static> {
    server: GatewayUrl,
    source: E,
}

/// The error of a backend: it says which server, and whether asking again may help.
pub(crate) fn storage_error(
    backend: &'static str,
    server: &GatewayUrl,
    source: HttpError,
) -> StorageError {
    let transient = source.is_transient();
    let source = At { server: server.clone(), source }.into();
    if transient {
        StorageError::Unavailable { backend, source }
    } else {
        StorageError::Refused { backend, source }
    }
}

/// What a server answered makes no sense or is a lie.
pub(crate) fn at(
    server: &GatewayUrl,
    source: impl std::error::Error + Send + Sync + 'static,
) -> Cause {
    At { server: server.clone(), source }.into()
}

/// Runs work that hashes more than a few kilobytes beside the async tasks.
pub(crate) async fn hashing<T: Send + 'static>(
    backend: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StorageError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| StorageError::Unavailable { backend, source: error.into() })
}
