//! The three calls of the uploader: log in, upload a segment, upload a chunk.

use std::{fmt, future::Future};

use alive_core::{AccountName, GatewayUrl, Link, backend::Cause};
use data_encoding::HEXLOWER;
use reqwest::{
    Method, RequestBuilder, Url,
    header::{CONTENT_TYPE, HeaderValue},
};
use serde::Deserialize;

use crate::{
    cid::{Cid, CidError},
    http::{
        self, Http, HttpError, HttpOptions,
        multipart::{Field, Form},
    },
};

/// Longest answer, in bytes.
const MAX_ANSWER: usize = 16 << 10;
/// Length of a recoverable signature, in bytes.
const SIGNATURE: usize = 65;

/// Logs an account in. The keys stay with whoever implements it.
pub trait Login: fmt::Debug + Send + Sync {
    /// Makes the message of now and signs it: SHA2-256 of its text, by the account's posting key.
    fn sign(&self) -> impl Future<Output = Result<SignedLogin, Cause>> + Send;
}

/// What is signed for a login: the account and a recent block of its chain.
///
/// ```
/// use alive_storage::uploader::LoginMessage;
/// let block = "05f5e10012345678901234567890123456789012";
/// let message = LoginMessage::new(&"alice".parse()?, 100_000_000, block)?;
/// assert_eq!(message.as_str(), format!("alice:oneloveipfs_login:hive:100000000:{block}"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginMessage(String);

impl LoginMessage {
    /// The message of an account at a block of Hive, by the block's number and its id in hexadecimal digits.
    ///
    /// # Errors
    /// The id is not 40 hexadecimal digits.
    pub fn new(
        account: &AccountName,
        block_number: u32,
        block_id: &str,
    ) -> Result<Self, LoginMessageError> {
        if block_id.len() != 40 || !block_id.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(LoginMessageError);
        }
        Ok(Self(format!("{account}:oneloveipfs_login:hive:{block_number}:{block_id}")))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text is not the id of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the id of a block has 40 hexadecimal digits")]
pub struct LoginMessageError;

/// A login message and the recoverable signature of it.
#[derive(Clone)]
pub struct SignedLogin {
    message: LoginMessage,
    signature: [u8; SIGNATURE],
}

impl SignedLogin {
    /// Joins them.
    pub fn new(message: LoginMessage, signature: [u8; SIGNATURE]) -> Self {
        Self { message, signature }
    }

    fn to_text(&self) -> String {
        format!("{}:{}", self.message.as_str(), HEXLOWER.encode(&self.signature))
    }
}

/// Without the signature, which logs in whoever has it.
impl fmt::Debug for SignedLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedLogin").field("message", &self.message).finish_non_exhaustive()
    }
}

/// A client of one uploader.
#[derive(Clone, Debug)]
pub struct UploaderClient {
    server: GatewayUrl,
    http: Http,
}

impl UploaderClient {
    /// A client of the uploader at this address.
    ///
    /// # Errors
    /// The HTTP client cannot be made.
    pub fn new(server: GatewayUrl, options: &HttpOptions) -> Result<Self, HttpError> {
        Ok(Self { server, http: Http::new(options)? })
    }

    /// Its address.
    pub fn server(&self) -> &GatewayUrl {
        &self.server
    }

    pub(super) async fn login(&self, login: &impl Login) -> Result<Session, LoginError> {
        let body = login.sign().await.map_err(LoginError::Signer)?.to_text();
        let len = body.len();
        let request = self.http.request(Method::POST, http::url_of(&self.server, "/loginsig")?)?;
        let plain = HeaderValue::from_static("text/plain");
        let request = request.header(CONTENT_TYPE, plain).body(body);
        let mut answer = self.http.send_ok(request, len).await?;
        let said: LoggedIn = answer.json(MAX_ANSWER).await?;
        match (said.error, said.access_token) {
            (Some(error), _) if error.is_error() => Err(LoginError::Refused),
            (_, Some(token)) if !token.is_empty() => Ok(Session { token }),
            _ => Err(LoginError::Refused),
        }
    }

    pub(super) async fn upload_segment(
        &self,
        session: &Session,
        link: &Link,
        data: &[u8],
    ) -> Result<String, UploadError> {
        let link = link.to_string();
        let segment =
            Field::File { name: "segment", file: "segment", media_type: "video/mp2t", data };
        let form = Form::new(&[Field::Text { name: "streamId", value: &link }, segment])?;
        let request = self.post(session, "/uploadStream", &form.content_type)?;
        let len = form.body.len();
        self.uploaded(request.body(form.body), len).await
    }

    pub(super) async fn upload_chunk(
        &self,
        session: &Session,
        text: &str,
    ) -> Result<String, UploadError> {
        let mut form = Url::parse("http://form/").map_err(|_| HttpError::answer("no form"))?;
        form.query_pairs_mut().append_pair("content", text);
        let body = form.query().unwrap_or_default().to_owned();
        let len = body.len();
        let request = self.post(session, "/uploadChunk", "application/x-www-form-urlencoded")?;
        self.uploaded(request.body(body), len).await
    }

    fn post(
        &self,
        session: &Session,
        path: &str,
        content_type: &str,
    ) -> Result<RequestBuilder, HttpError> {
        let mut url = http::url_of(&self.server, path)?;
        url.query_pairs_mut().append_pair("access_token", &session.token);
        Ok(self.http.request(Method::POST, url)?.header(CONTENT_TYPE, content_type))
    }

    async fn uploaded(&self, request: RequestBuilder, len: usize) -> Result<String, UploadError> {
        let mut answer = self.http.send_ok(request, len).await?;
        let said: Uploaded = answer.json(MAX_ANSWER).await?;
        said.hash.ok_or(UploadError::NoHash)
    }
}

/// Proof of a login.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Session {
    token: String,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session")
    }
}

/// Why an account was not logged in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// The uploader did not answer as agreed.
    #[error("the uploader did not answer as agreed")]
    Http(#[from] HttpError),
    /// The uploader does not take this account, or this signature.
    #[error("the uploader refused the login")]
    Refused,
    /// The message could not be made or signed.
    #[error("the login could not be signed")]
    Signer(#[source] Cause),
}

/// Why content was not uploaded.
#[derive(Debug, thiserror::Error)]
pub(super) enum UploadError {
    #[error("the uploader returned no cid")]
    Cid(#[from] CidError),
    #[error("the uploader did not answer as agreed")]
    Http(#[from] HttpError),
    #[error("not logged in")]
    Login(#[from] LoginError),
    #[error("the uploader's answer has no hash")]
    NoHash,
    #[error("the uploader says {theirs}, the content has {ours}")]
    OtherId { ours: Box<Cid>, theirs: Box<Cid> },
}

impl UploadError {
    /// Whether the session has ended.
    pub(super) fn is_unauthorized(&self) -> bool {
        matches!(self, Self::Http(HttpError::Status { status: 401 | 403, .. }))
    }
}

#[derive(Deserialize)]
struct LoggedIn {
    error: Option<Flag>,
    access_token: Option<String>,
}

/// Servers write errors as texts or as flags.
#[derive(Deserialize)]
#[serde(untagged)]
enum Flag {
    Bool(bool),
    Text(String),
}

impl Flag {
    fn is_error(&self) -> bool {
        match self {
            Self::Bool(error) => *error,
            Self::Text(error) => !error.is_empty(),
        }
    }
}

#[derive(Deserialize)]
struct Uploaded {
    hash: Option<String>,
}
