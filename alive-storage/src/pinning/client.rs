//! The calls of the pinning service API: [`PinningClient`].

use std::{fmt, time::Duration};

use alive_core::{Excerpt, GatewayUrl};
use reqwest::{
    Method, RequestBuilder, Url,
    header::{AUTHORIZATION, HeaderValue},
};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::{
    cid::{self, Cid},
    http::{self, Answer, Http, HttpError, HttpOptions},
};

/// Longest answer, in bytes: a page of 1000 pins has some hundred kilobytes.
const MAX_ANSWER: usize = 4 << 20;
/// Longest name of a pin, in characters. Source: the pinning service API.
const MAX_NAME: usize = 255;
/// Most pins of a page.
const MAX_PAGE: u16 = 1000;
/// First and longest pause between two questions whether a pin is done.
const FIRST_POLL: Duration = Duration::from_millis(500);
const MOST_POLL: Duration = Duration::from_secs(15);

/// A client of one pinning service.
///
/// ```
/// use alive_storage::{HttpOptions, pinning::PinningClient};
/// let url = "https://pins.example/psa".parse()?;
/// let service = PinningClient::new(url, "secret", &HttpOptions::default())?;
/// assert!(!format!("{service:?}").contains("secret"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct PinningClient {
    service: GatewayUrl,
    http: Http,
    authorization: HeaderValue,
    first_poll: Duration,
}

impl PinningClient {
    /// A client of the service at this address, by an access token that is never printed.
    ///
    /// # Errors
    /// The token cannot stand in a header, or the HTTP client cannot be made.
    pub fn new(service: GatewayUrl, token: &str, options: &HttpOptions) -> Result<Self, HttpError> {
        let value = HeaderValue::from_str(&format!("Bearer {token}"));
        let mut authorization =
            value.map_err(|_| HttpError::answer("this token cannot stand in a header"))?;
        authorization.set_sensitive(true);
        Ok(Self { service, http: Http::new(options)?, authorization, first_poll: FIRST_POLL })
    }

    /// Waits for another time than half a second before it first asks whether a pin is done.
    #[must_use]
    pub fn with_first_poll(self, pause: Duration) -> Self {
        Self { first_poll: pause.max(Duration::from_millis(1)), ..self }
    }

    /// Its address.
    pub fn service(&self) -> &GatewayUrl {
        &self.service
    }

    /// Asks that content be kept. It is kept once the status says [`PinState::Pinned`].
    ///
    /// # Errors
    /// The service refused or did not answer, or speaks of other content.
    pub async fn add(&self, pin: &PinRequest) -> Result<PinStatus, HttpError> {
        self.post("/pins", pin).await
    }

    /// Replaces a pin by another in one step.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub async fn replace(&self, id: &str, pin: &PinRequest) -> Result<PinStatus, HttpError> {
        self.post(&one(id)?, pin).await
    }

    /// How a pin is doing.
    ///
    /// # Errors
    /// The service does not know it, or did not answer.
    pub async fn status(&self, id: &str) -> Result<PinStatus, HttpError> {
        let request = self.request(Method::GET, &one(id)?, &[])?;
        self.send(request, 0).await?.json(MAX_ANSWER).await
    }

    /// Lets go of a pin. It is no error if it is not known any more.
    ///
    /// # Errors
    /// The service did not do it.
    pub async fn remove(&self, id: &str) -> Result<(), HttpError> {
        let request = self.request(Method::DELETE, &one(id)?, &[])?;
        match self.send(request, 0).await {
            Ok(_) => Ok(()),
            Err(error) if error.status() == Some(404) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Pins, the latest first, at most a page of them.
    ///
    /// # Errors
    /// The service did not answer.
    pub async fn list(&self, query: &PinQuery) -> Result<Vec<PinStatus>, HttpError> {
        let ids: Vec<String> = query.cids.iter().map(ToString::to_string).collect();
        let (ids, limit) = (ids.join(","), query.limit.clamp(1, MAX_PAGE).to_string());
        let states: Vec<&str> = query.states.iter().map(|state| state.as_str()).collect();
        let states = states.join(",");
        let mut pairs = vec![("limit", limit.as_str())];
        if !ids.is_empty() {
            pairs.push(("cid", &ids));
        }
        if !states.is_empty() {
            pairs.push(("status", &states));
        }
        if let Some(before) = &query.before {
            pairs.push(("before", before));
        }
        let request = self.request(Method::GET, "/pins", &pairs)?;
        let page: Page = self.send(request, 0).await?.json(MAX_ANSWER).await?;
        Ok(page.results)
    }

    /// Asks how a pin is doing until it is kept or has failed, with pauses that double up to 15 seconds.
    ///
    /// # Errors
    /// The service did not answer, or `patience` has passed ([`HttpError::NoAnswer`]).
    pub async fn wait(&self, pin: PinStatus, patience: Duration) -> Result<PinStatus, HttpError> {
        let (start, mut pause, mut pin) = (Instant::now(), self.first_poll, pin);
        while !pin.state.is_final() {
            if start.elapsed().saturating_add(pause) > patience {
                return Err(HttpError::NoAnswer);
            }
            sleep(pause).await;
            pause = pause.saturating_mul(2).min(MOST_POLL);
            pin = self.status(&pin.id).await?;
        }
        Ok(pin)
    }

    async fn post(&self, path: &str, pin: &PinRequest) -> Result<PinStatus, HttpError> {
        let body = serde_json::to_vec(pin).map_err(|error| HttpError::answer(error.to_string()))?;
        let len = body.len();
        let request = self.request(Method::POST, path, &[])?;
        let request = request.header("content-type", "application/json").body(body);
        let status: PinStatus = self.send(request, len).await?.json(MAX_ANSWER).await?;
        if status.cid()?.hash() == pin.cid.hash() {
            Ok(status)
        } else {
            Err(HttpError::answer("the service pins other content than it was asked to"))
        }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<RequestBuilder, HttpError> {
        let mut url: Url = http::url_of(&self.service, path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self.http.request(method, url)?;
        Ok(request.header(AUTHORIZATION, self.authorization.clone()))
    }

    /// Sends, and reads the reason that services give in JSON.
    async fn send(&self, request: RequestBuilder, len: usize) -> Result<Answer, HttpError> {
        let mut answer = self.http.send(request, len).await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let (status, text) = (answer.status().as_u16(), answer.error_text().await);
        let reason = match serde_json::from_str::<Failure>(&text) {
            Ok(Failure { error: Reason { reason, details } }) => match details {
                Some(details) => format!("{reason}: {details}"),
                None => reason,
            },
            Err(_) => text,
        };
        Err(HttpError::Status { status, message: Excerpt::of(reason.trim()), retry_after: None })
    }
}

impl fmt::Debug for PinningClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PinningClient").field("service", &self.service).finish_non_exhaustive()
    }
}

/// What is to be kept.
#[derive(Clone, Debug, Serialize)]
pub struct PinRequest {
    #[serde(serialize_with = "cid_text")]
    cid: Cid,
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    origins: Vec<String>,
}

impl PinRequest {
    /// Keeps all that is below a root.
    pub fn new(cid: Cid) -> Self {
        Self { cid, name: String::new(), origins: Vec::new() }
    }

    /// Under a name, cut to 255 characters.
    #[must_use]
    pub fn name(self, name: &str) -> Self {
        Self { name: name.chars().take(MAX_NAME).collect(), ..self }
    }

    /// Addresses of nodes that have it, as multiaddresses; at most 20 are used.
    #[must_use]
    pub fn origins(self, origins: impl IntoIterator<Item = String>) -> Self {
        Self { origins: origins.into_iter().take(20).collect(), ..self }
    }
}

/// Which pins to list.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PinQuery {
    /// Only those of these roots; all when there are none.
    pub cids: Vec<Cid>,
    /// Only those in these states; only those kept when there are none.
    pub states: Vec<PinState>,
    /// Only those created before, in the form in which the service writes times.
    pub before: Option<String>,
    /// How many, 1 to 1000.
    pub limit: u16,
}

impl Default for PinQuery {
    fn default() -> Self {
        Self { cids: Vec::new(), states: Vec::new(), before: None, limit: 10 }
    }
}

/// How a pin is doing.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct PinStatus {
    /// The service's name for the pin.
    #[serde(rename = "requestid")]
    pub id: String,
    /// Whether the content is kept.
    #[serde(rename = "status")]
    pub state: PinState,
    /// When it was asked for, as the service writes it.
    pub created: String,
    /// Nodes of the service, as multiaddresses; connecting to one speeds it up.
    #[serde(default)]
    pub delegates: Vec<String>,
    pin: PinOf,
}

impl PinStatus {
    /// The root that is kept.
    ///
    /// # Errors
    /// The service wrote no CID.
    pub fn cid(&self) -> Result<Cid, HttpError> {
        cid::parse(&self.pin.cid).map_err(|error| HttpError::answer(error.to_string()))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.pin.name.as_deref().unwrap_or_default()
    }
}

/// Whether content is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum PinState {
    /// It could not be fetched; it is not tried again.
    Failed,
    /// It is kept.
    Pinned,
    /// It is being fetched.
    Pinning,
    /// It will be fetched.
    Queued,
}

impl PinState {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Pinned => "pinned",
            Self::Pinning => "pinning",
            Self::Queued => "queued",
        }
    }

    /// Whether it stays so.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Failed | Self::Pinned)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct PinOf {
    cid: String,
    name: Option<String>,
}

#[derive(Deserialize)]
struct Page {
    results: Vec<PinStatus>,
}

#[derive(Deserialize)]
struct Failure {
    error: Reason,
}

#[derive(Deserialize)]
struct Reason {
    reason: String,
    details: Option<String>,
}

fn cid_text<S: serde::Serializer>(cid: &Cid, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(cid)
}

/// The path of a pin. Its id is the service's word, and must stay within one step of the path.
fn one(id: &str) -> Result<String, HttpError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.~:".contains(c);
    let dots = id.chars().all(|c| c == '.');
    if id.len() <= 256 && id.chars().all(plain) && !dots {
        Ok(format!("/pins/{id}"))
    } else {
        Err(HttpError::answer(format!("{id:?} is no id of a pin")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_cannot_lead_elsewhere() {
        for id in ["", "..", ".", "a/b", "a?b", "a#b", "a%2fb", "a b", "a\r\nb", "é"] {
            assert!(one(id).is_err(), "{id:?}");
        }
        assert_eq!(one("UniqueId-1_2.3").unwrap(), "/pins/UniqueId-1_2.3");
    }
}
