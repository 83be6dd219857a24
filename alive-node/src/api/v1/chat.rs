//! `…/chat` and what is below: the chat of a stream for browsers. See [`crate::chat`].
//!
//! What is posted is signed, so it does not matter which page it comes from. An address that posts too often is refused
//! before anything of it is looked at; then come the size, the form, the time and the standing, and the signature last.

use std::{fmt::Display, sync::Arc, time::Duration};

use alive_chat::{Account, MessageError, Refusal, Standing};
use alive_core::backend::StreamStore as _;
use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use futures_util::StreamExt as _;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    api::{
        Api, error, failed, json,
        lists::{Path, no_stream, once},
        problem::Problem,
        query::Query,
        unavailable,
    },
    chat::{AllTaken, ChatAccount, ChatRooms, Turned, Visit},
    visitors::Source,
};

/// Longest text that is posted, in bytes: 2000 characters, each escaped, and the other fields.
const MAX_POST: usize = 32 << 10;
/// Most accounts that are told of at once.
const MAX_ACCOUNTS: usize = 32;

/// A message as AliveDB has it.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "it describes what alive-chat reads and writes")]
pub(super) struct ChatMessage {
    /// Name of the account.
    u: String,
    /// Its network.
    n: String,
    /// The signature of SHA-256 of `t_u_n_m_NETWORK/AUTHOR/LINK`.
    s: String,
    /// Recovery id, on Avalon only.
    r: Option<u8>,
    /// When it was written, in milliseconds since 1970.
    t: f64,
    /// The text, at most 2000 characters.
    m: String,
}

/// A request to take part.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "it describes what alive-chat reads")]
pub(super) struct ChatRequest {
    /// Name of the account.
    u: String,
    /// Its network.
    n: String,
    /// The signature of SHA-256 of `alivedb_chat_request_t_u_n_NETWORK/AUTHOR/LINK`.
    s: String,
    /// Recovery id, on Avalon only.
    r: Option<u8>,
    /// When it was made, in milliseconds since 1970.
    t: f64,
}

/// A chat as it is seen now.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "it describes what the board of the chat writes")]
pub(super) struct ChatNow {
    /// Whether this node has a connection to AliveDB.
    connected: bool,
    /// Whether it has read what was said before.
    caught_up: bool,
    /// Seconds that an account must pause between two messages.
    slow_seconds: f64,
    /// The time of this node, in milliseconds since 1970.
    now: f64,
    /// The last messages, by time. Every signature was checked here; check it again.
    messages: Vec<ChatMessage>,
}

/// Something was given to all.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ChatTaken {
    /// The digest of a message, by which it can be hidden: SHA-256 of the text that was signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
}

/// Accounts as readers of a chat need to know them.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ChatAccounts {
    accounts: Vec<ChatAccount>,
}

/// What is said now.
#[utoipa::path(
    get,
    path = "/chat",
    operation_id = "chat",
    tag = "chat",
    responses((status = 200, description = "The last messages", body = ChatNow, content_type = "application/json"))
)]
pub(in crate::api) async fn now(State(api): State<Arc<Api>>, path: Path) -> Response {
    match api.visit(path).await {
        Ok(visit) => {
            let headers = [
                (header::CONTENT_TYPE, "application/json; charset=utf-8"),
                (header::CACHE_CONTROL, "no-cache"),
            ];
            (StatusCode::OK, headers, visit.text()).into_response()
        }
        Err(answer) => answer,
    }
}

/// What is said: `chat` is all that is seen, at the beginning and when something may have been missed; `show` and `hide` are
/// messages, `account` an account whose standing may have changed, `slow` another pause between two messages, `state`
/// whether the node is connected.
#[utoipa::path(
    get,
    path = "/chat/events",
    operation_id = "chat_events",
    tag = "chat",
    responses((status = 200, description = "Events", body = String, content_type = "text/event-stream"))
)]
pub(in crate::api) async fn events(State(api): State<Arc<Api>>, path: Path) -> Response {
    let visit = match api.visit(path).await {
        Ok(visit) => visit,
        Err(answer) => return answer,
    };
    let frames = visit.frames().take_until(api.playlists.stopped());
    let headers =
        [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    (headers, Body::from_stream(frames)).into_response()
}

/// Standing and keys of accounts, for checking signatures. Of accounts that nobody has approved or banned only the first is
/// told, and it counts as something that is posted.
#[utoipa::path(
    get,
    path = "/chat/accounts",
    operation_id = "chat_accounts",
    tag = "chat",
    params(("names" = Option<String>, Query, description = "Up to 32 full names, such as `hive/alice`, parted by commas")),
    responses((status = 200, description = "Those that can be accounts, in order", body = ChatAccounts))
)]
pub(in crate::api) async fn accounts(
    State(api): State<Arc<Api>>,
    path: Path,
    uri: Uri,
    request: Request,
) -> Response {
    let query = Query::parse(uri.query());
    let names = match once(&query, "names") {
        Ok(names) => names.unwrap_or_default(),
        Err(why) => return why.into(),
    };
    if names.split(',').count() > MAX_ACCOUNTS {
        let why = format!("names: more than {MAX_ACCOUNTS}");
        return error(StatusCode::BAD_REQUEST, &why);
    }
    let source = api.source(&request);
    match api.known(path, names, source).await {
        Ok(accounts) => json(StatusCode::OK, &ChatAccounts { accounts }),
        Err(answer) => answer,
    }
}

/// Says something.
#[utoipa::path(
    post,
    path = "/chat",
    operation_id = "chat_say",
    tag = "chat",
    request_body(content = ChatMessage, content_type = "application/json"),
    responses(
        (status = 201, description = "It was given to all", body = ChatTaken),
        (status = 403, description = "The account may not write, or did not sign it", body = Problem<'_>, content_type = "application/problem+json"),
        (status = 409, description = "It has been said", body = Problem<'_>, content_type = "application/problem+json"),
        (status = 413, description = "It is too long", body = Problem<'_>, content_type = "application/problem+json"),
    )
)]
pub(in crate::api) async fn say(
    State(api): State<Arc<Api>>,
    path: Path,
    request: Request,
) -> Response {
    api.take(path, request, Posted::Message).await
}

/// Asks the streamer for access.
#[utoipa::path(
    post,
    path = "/chat/requests",
    operation_id = "chat_ask",
    tag = "chat",
    request_body(content = ChatRequest, content_type = "application/json"),
    responses(
        (status = 201, description = "It was given to the streamer", body = ChatTaken),
        (status = 403, description = "The account is banned, or did not sign it", body = Problem<'_>, content_type = "application/problem+json"),
        (status = 409, description = "The account takes part already", body = Problem<'_>, content_type = "application/problem+json"),
        (status = 413, description = "It is too long", body = Problem<'_>, content_type = "application/problem+json"),
    )
)]
pub(in crate::api) async fn ask(
    State(api): State<Arc<Api>>,
    path: Path,
    request: Request,
) -> Response {
    api.take(path, request, Posted::Request).await
}

/// What is posted to a chat.
#[derive(Clone, Copy, Debug)]
enum Posted {
    Message,
    Request,
}

impl Api {
    /// The chat of the stream that a path names.
    async fn visit(&self, path: Path) -> Result<Visit, Response> {
        let (rooms, _) = self.chat.as_ref().ok_or_else(no_chat)?;
        let id = self.stream_of(path, "").ok_or_else(no_stream)?;
        let stored = match self.store.stream(&id).await {
            Ok(stored) => stored.ok_or_else(no_stream)?,
            Err(why) => return Err(failed(&why)),
        };
        let key = rooms.key_of(&id, &stored.info).ok_or_else(no_chat)?;
        rooms.visit(&id, key).map_err(|AllTaken| unavailable("too many chats are followed here"))
    }

    /// Takes something that is posted to a chat.
    async fn take(&self, path: Path, request: Request, what: Posted) -> Response {
        let Some((rooms, _)) = &self.chat else { return no_chat() };
        let (visit, text) = match self.read(rooms, path, request).await {
            Ok(posted) => posted,
            Err(answer) => return answer,
        };
        let door = rooms.door();
        let taken = match what {
            Posted::Message => door.say(&visit, &text).await.map(Some),
            Posted::Request => door.ask(&visit, &text).await.map(|()| None),
        };
        match taken {
            Ok(digest) => {
                let digest = digest.map(|digest| data_encoding::HEXLOWER.encode(&digest));
                json(StatusCode::CREATED, &ChatTaken { digest })
            }
            Err(why) => {
                rooms.counts().turned(&why);
                answer_to(&why)
            }
        }
    }

    /// Reads what is posted to a chat, if its sender may post.
    async fn read(
        &self,
        rooms: &ChatRooms,
        path: Path,
        request: Request,
    ) -> Result<(Visit, String), Response> {
        let source = self.source(&request);
        let turned = |reason, answer| {
            rooms.counts().unread(reason);
            answer
        };
        self.admit(source).map_err(|wait| turned("address", self.too_many(wait)))?;
        let visit = self.visit(path).await?;
        let too_long =
            || error(StatusCode::PAYLOAD_TOO_LARGE, &format!("more than {MAX_POST} bytes"));
        let body = to_bytes(request.into_body(), MAX_POST).await;
        let body = body.map_err(|_| turned("long", too_long()))?;
        let text = String::from_utf8(body.into());
        let text = text.map_err(|_| turned("form", error(StatusCode::BAD_REQUEST, "not UTF-8")))?;
        Ok((visit, text))
    }

    /// Accounts by their names, as far as they may be told.
    async fn known(
        &self,
        path: Path,
        names: &str,
        source: Option<Source>,
    ) -> Result<Vec<ChatAccount>, Response> {
        let (rooms, _) = self.chat.as_ref().ok_or_else(no_chat)?;
        let (visit, door) = (self.visit(path).await?, rooms.door());
        let (mut known, mut strangers) = (Vec::new(), 0);
        let named = names.split(',').filter_map(|name| door.account(name));
        for account in named.collect::<Vec<Account>>() {
            let standing = door.standing(&visit, &account).await.map_err(|why| answer_to(&why))?;
            if standing == Standing::Unknown {
                strangers += 1;
                if strangers > 1 {
                    continue;
                }
                // The chain is asked, so it is no cheaper than something that is posted.
                self.admit(source).map_err(|wait| self.too_many(wait))?;
            }
            known.push(door.known(&account, standing).await);
        }
        Ok(known)
    }

    /// Counts something that is sent; how long to wait when it is one too many.
    fn admit(&self, source: Option<Source>) -> Result<(), Duration> {
        self.chat.as_ref().map_or(Ok(()), |(_, senders)| senders.admit(source))
    }
}

fn no_chat() -> Response {
    error(StatusCode::NOT_FOUND, "the stream has no chat here")
}

/// Why something does not count, with the status that says what to do about it.
fn answer_to(why: &Turned) -> Response {
    let because = |status: StatusCode, why: &dyn Display| error(status, &why.to_string());
    match why {
        Turned::Form(MessageError::TooLong { .. }) | Turned::Refused(Refusal::Long { .. }) => {
            because(StatusCode::PAYLOAD_TOO_LARGE, why)
        }
        Turned::Refused(Refusal::Approved | Refusal::Duplicate) => {
            because(StatusCode::CONFLICT, why)
        }
        Turned::Refused(
            Refusal::Banned
            | Refusal::Blacklisted
            | Refusal::Key
            | Refusal::NoAccount
            | Refusal::NotParticipant,
        ) => because(StatusCode::FORBIDDEN, why),
        Turned::Soon(wait) => {
            let mut response = because(StatusCode::TOO_MANY_REQUESTS, why);
            let seconds = wait.as_secs().saturating_add(1);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            response
        }
        Turned::Session(cause) => failed(cause),
        Turned::Keys | Turned::Unread | Turned::Refused(Refusal::Unavailable) => {
            unavailable(&why.to_string())
        }
        _ => because(StatusCode::BAD_REQUEST, why),
    }
}
