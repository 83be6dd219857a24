//! The routes and what each answers.

use std::{collections::HashMap, net::IpAddr, time::Instant};

use axum::{
    Extension, Router,
    body::Bytes,
    extract::{
        DefaultBodyLimit, Query, Request, State,
        rejection::{BytesRejection, QueryRejection},
    },
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};

use super::{
    Participants as _, Peer, RestApi, UserError,
    answer::{Answer, object},
    login::Who,
    validate::{self, Invalid},
};
use crate::{
    database::{Database, DatabaseError, system_millis},
    json::{Json, Object, Text},
    live_cache::PushError,
    schema::Item,
    sea::{AccountError, random_text},
};

/// Longest body, in bytes: 100 kB as the original counts them.
const MAX_BODY: usize = 100 << 10;
/// Longest path and query, in bytes.
const MAX_URI: usize = 4096;

type Body = Result<Bytes, BytesRejection>;
type Api<D> = State<RestApi<D>>;

pub(super) fn router<D: Database>(api: RestApi<D>) -> Router {
    // Whoever may try a password or a signature may not try for ever.
    let users = Router::new()
        .route("/createUser", post(create_user::<D>))
        .route("/loginUser", post(login_user::<D>))
        .route("/changeKey", post(change_key::<D>))
        .layer(middleware::from_fn_with_state(api.clone(), own_machine_only::<D>));
    let guarded = users
        .route("/getToken", post(get_token::<D>))
        .layer(middleware::from_fn_with_state(api.clone(), limited::<D>));
    Router::new()
        .route("/", get(root))
        .route("/currentUser", get(current_user::<D>))
        .route("/fetchParticipantsKeys", get(participants_keys::<D>))
        .route("/getStream", get(get_stream::<D>))
        .route("/pushStream", post(push_stream::<D>))
        .merge(guarded)
        .fallback(async || Answer::error(StatusCode::NOT_FOUND, "Not found"))
        .method_not_allowed_fallback(async || {
            Answer::error(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed")
        })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn(bounded_uri))
        .with_state(api)
}

async fn bounded_uri(request: Request, next: Next) -> Response {
    let uri = request.uri();
    if uri.path().len() + uri.query().map_or(0, str::len) > MAX_URI {
        return Answer::error(StatusCode::URI_TOO_LONG, "Path and query are too long")
            .into_response();
    }
    next.run(request).await
}

/// Refuses who has tried too often.
async fn limited<D: Database>(
    State(api): Api<D>,
    peer: Option<Extension<Peer>>,
    request: Request,
    next: Next,
) -> Response {
    let address = peer.and_then(|Extension(peer)| peer.address());
    // Programs on the other side of a Unix socket count as one, as do those whose address nobody knows.
    let address = address.unwrap_or(IpAddr::V6(std::net::Ipv6Addr::LOCALHOST));
    if !api.shared.limiter.admits(address, Instant::now()) {
        tracing::info!(%address, "too many tries");
        return Answer::error(StatusCode::TOO_MANY_REQUESTS, "Too many requests").into_response();
    }
    next.run(request).await
}

/// Lets only programs of this machine pass, unless configured otherwise.
async fn own_machine_only<D: Database>(
    State(api): Api<D>,
    peer: Option<Extension<Peer>>,
    request: Request,
    next: Next,
) -> Response {
    if !is_trusted(&api, peer, request.headers()) {
        return forbidden().into_response();
    }
    next.run(request).await
}

/// Whether a request may act for the user that is logged in without a token.
fn is_trusted<D>(api: &RestApi<D>, peer: Option<Extension<Peer>>, headers: &HeaderMap) -> bool {
    api.shared.config.remote_users || is_own(peer, headers)
}

/// Whether a request comes from a program of this machine, and not from a web page that it shows.
pub(super) fn is_own(peer: Option<Extension<Peer>>, headers: &HeaderMap) -> bool {
    let is_own = peer.is_some_and(|Extension(peer)| peer.is_own_machine());
    // A web page elsewhere can point its own name at this machine, but its name then shows here.
    let host = headers.get(header::HOST).map_or(Some(""), |host| host.to_str().ok());
    is_own && host.is_some_and(is_own_name)
}

/// Whether a `Host` is no name that somebody else could have pointed here.
fn is_own_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let literal = name.trim_start_matches('[').trim_end_matches(']');
    name.is_empty() || name.eq_ignore_ascii_case("localhost") || literal.parse::<IpAddr>().is_ok()
}

pub(super) fn forbidden() -> Answer {
    Answer::error(StatusCode::FORBIDDEN, "Only allowed from the machine of this server")
}

async fn root() -> Answer {
    let message = Json::Text("AliveDB server".into());
    Answer::ok(object([("ok", Json::Number(1.0)), ("message", message)]))
}

async fn create_user<D: Database>(
    State(api): Api<D>,
    headers: HeaderMap,
    body: Body,
) -> Result<Answer, Answer> {
    let body = json_body(&headers, body)?;
    // The password first, as the original.
    let key = validate::key(body.member("key"), "Key")?;
    let id = match body.member("id") {
        None | Some(Json::Null) => {
            let mut random = [0; 32];
            getrandom::fill(&mut random).map_err(|_| internal())?;
            random_text(&random).to_ascii_lowercase()
        }
        id => validate::user_id(id)?.to_owned(),
    };
    match api.create_user(&id, key).await {
        Ok(public) => Ok(Answer::ok(object([
            ("id", Json::Text(id.into())),
            ("pub", Json::Text(public.to_string().into())),
        ]))),
        Err(error) => {
            tracing::debug!(%error, "no user made");
            Err(Answer::error(StatusCode::INTERNAL_SERVER_ERROR, &told(&error)))
        }
    }
}

async fn login_user<D: Database>(
    State(api): Api<D>,
    headers: HeaderMap,
    body: Body,
) -> Result<Answer, Answer> {
    let body = json_body(&headers, body)?;
    let who = who(&body)?;
    let key = validate::key(body.member("key"), "Key")?;
    let done = match who {
        Who::Alias(alias) => api.login(alias, key).await,
        Who::Key(public) => api.login_by_key(public, key).await,
    };
    done.map_err(|error| not_opened(&error))?;
    Ok(Answer::success())
}

async fn change_key<D: Database>(
    State(api): Api<D>,
    headers: HeaderMap,
    body: Body,
) -> Result<Answer, Answer> {
    let body = json_body(&headers, body)?;
    let who = who(&body)?;
    let key = validate::key(body.member("key"), "Old key")?;
    let new = validate::key(body.member("newkey"), "New key")?;
    api.change_password(who, key, new).await.map_err(|error| not_opened(&error))?;
    Ok(Answer::success())
}

async fn current_user<D: Database>(State(api): Api<D>) -> Answer {
    let Some(user) = api.logged_in() else {
        return Answer::ok(object([("loggedIn", Json::Bool(false))]));
    };
    let text = |text: &str| Json::Text(text.into());
    let mut members = vec![
        ("pub", text(&user.keys.public().to_string())),
        ("epub", text(&user.keys.exchange().to_string())),
        ("alias", text(&user.alias)),
        ("loggedIn", Json::Bool(true)),
        ("requiresAccessToken", Json::Bool(api.shared.tokens.is_some())),
    ];
    members
        .extend(api.shared.tokens.iter().map(|issuer| ("authId", text(issuer.auth_identifier()))));
    Answer::ok(Json::Object(Object::from_iter(members)))
}

async fn participants_keys<D: Database>(State(api): Api<D>) -> Answer {
    let Some(participants) = api.shared.participants.get() else {
        let text = "Live chat functionality not enabled";
        return Answer::error(StatusCode::INTERNAL_SERVER_ERROR, text);
    };
    if api.logged_in().is_none() {
        return Answer::error(StatusCode::UNAUTHORIZED, "Not logged in");
    }
    let networks = match participants.keys().await {
        Ok(networks) => networks,
        Err(error) => {
            tracing::warn!(%error, "participants cannot be told");
            let text = "Participants cannot be told now";
            return Answer::error(StatusCode::SERVICE_UNAVAILABLE, text);
        }
    };
    let text = |text: &str| Text::from(text);
    let list =
        |keys: &[Box<str>]| Json::Array(keys.iter().map(|key| Json::Text(text(key))).collect());
    let members = networks.iter().map(|(network, accounts)| {
        let accounts = accounts.iter().map(|(account, keys)| (text(account), list(keys)));
        (text(network), Json::Object(accounts.collect()))
    });
    Answer::ok(Json::Object(members.collect()))
}

async fn get_token<D: Database>(State(api): Api<D>, body: Body) -> Result<Answer, Answer> {
    let Some(tokens) = &api.shared.tokens else {
        let text = "Access tokens are not enabled";
        return Err(Answer::error(StatusCode::INTERNAL_SERVER_ERROR, text));
    };
    let body = whole(body)?;
    // A body that is no text has not the form of a message, either.
    let message = std::str::from_utf8(&body).unwrap_or_default();
    match tokens.issue(message, system_millis() / 1000.0).await {
        Ok(token) => Ok(Answer::ok(object([
            ("access_token", Json::Text(token.into())),
            ("error", Json::Null),
        ]))),
        Err(error) => Err(Answer::bad(&format!(
            "Could not verify signature and/or recent block info: {error}"
        ))),
    }
}

async fn push_stream<D: Database>(
    State(api): Api<D>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Answer, Answer> {
    let claims = match &api.shared.tokens {
        None if !is_trusted(&api, peer, &headers) => return Err(forbidden()),
        None => None,
        Some(tokens) => {
            let token = bearer(&headers)?;
            let claims = tokens.check(token, system_millis() / 1000.0).map_err(|error| {
                Answer::unauthorized(object([
                    ("name", Json::Text(error.name().into())),
                    ("message", Json::Text(error.to_string().into())),
                ]))
            })?;
            Some(claims)
        }
    };
    if api.logged_in().is_none() {
        return Err(unauthorized("Not logged in"));
    }
    let mut body = json_body(&headers, body)?;
    if let (Some(claims), Json::Object(members)) = (claims, &body) {
        // The account may push to its own stream and no other.
        let text = |text: &str| Json::Text(text.into());
        let own: [(Text, Json); 3] = [
            ("network".into(), text(claims.network.as_str())),
            ("streamer".into(), text(claims.user.as_str())),
            ("link".into(), text(claims.link.as_str())),
        ];
        body = Json::Object(members.clone().into_iter().chain(own).collect());
    }
    let (stream, item) = validate::stream(&body)?;
    match api.push(&stream, &item).await {
        None => Err(unauthorized("Not logged in")),
        Some(Ok(())) => Ok(Answer::success()),
        Some(Err(error)) => {
            tracing::warn!(%error, %stream, "a segment was not pushed");
            Err(Answer::failure(match &error {
                PushError::Database(DatabaseError::Refused(reason)) => reason,
                PushError::Database(DatabaseError::Unavailable(_)) => "The database is unavailable",
                _ => "The segment could not be signed",
            }))
        }
    }
}

async fn get_stream<D: Database>(
    State(api): Api<D>,
    query: Result<Query<HashMap<String, String>>, QueryRejection>,
) -> Result<Response, Answer> {
    let Query(query) = query.map_err(|_| Answer::bad("Query could not be read"))?;
    let text = |name: &str| query.get(name).map(|text| Json::Text(text.as_str().into()));
    let public = query.get("pub").filter(|public| !public.is_empty());
    let public = public.ok_or_else(|| Answer::bad("Missing streamer public key"))?;
    let network = validate::network(text("network").as_ref())?;
    let streamer = validate::username(text("streamer").as_ref())?;
    let stream =
        alive_core::StreamId::new(network, streamer, validate::link(text("link").as_ref())?);
    let since = query.get("ts").map_or(0.0, |ts| since(ts));
    // What is no key has no space, and so no segments.
    let items = match public.parse() {
        Ok(public) => api.shared.anyone.items(&public, &stream, since).await,
        Err(_) => Ok(Vec::new()),
    };
    let items = items.map_err(|error| {
        tracing::warn!(%error, %stream, "no segments to be had");
        Answer::error(StatusCode::SERVICE_UNAVAILABLE, "The database is unavailable")
    })?;
    let items = Json::Array(items.iter().map(Item::to_json).collect());
    let mut response = Answer::ok(items).into_response();
    // Any page may read what any peer may.
    let any = HeaderValue::from_static("*");
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
    Ok(response)
}

/// A time in milliseconds; what is not written in decimal digits, at most with a point, is 0.
fn since(text: &str) -> f64 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let number = (digits(whole) && digits(fraction)).then(|| text.parse().ok()).flatten();
    number.filter(|number: &f64| number.is_finite()).unwrap_or(0.0)
}

fn who(body: &Json) -> Result<Who<'_>, Answer> {
    let given = |name: &str| {
        let value = body.member(name);
        value.filter(|value| {
            !matches!(value, Json::Null) && !value.as_text().is_some_and(Text::is_empty)
        })
    };
    match (given("pub"), given("id")) {
        (Some(public), _) => match public.as_text().map(Text::to_str_lossy) {
            // Whatever is no key will not be found.
            Some(_) => Ok(Who::Key(public.as_text().and_then(Text::as_str).unwrap_or_default())),
            None => Err(Answer::bad("Public key must be a string")),
        },
        (None, Some(id)) => Ok(Who::Alias(validate::user_id(Some(id))?)),
        (None, None) => Err(Answer::bad("User ID or public key is required")),
    }
}

/// The token of an `Authorization`. Any word may stand before it, as in the original.
fn bearer(headers: &HeaderMap) -> Result<&str, Answer> {
    let value = headers.get(header::AUTHORIZATION);
    let value = value.ok_or_else(|| unauthorized("Missing authentication header"))?;
    let token = value.to_str().ok().and_then(|value| value.split(' ').nth(1));
    token.filter(|token| !token.is_empty()).ok_or_else(|| unauthorized("Invalid bearer auth token"))
}

fn whole(body: Body) -> Result<Bytes, Answer> {
    body.map_err(|refused| {
        let status = refused.status();
        let text = if status == StatusCode::PAYLOAD_TOO_LARGE {
            "Request body is too large"
        } else {
            "Request body could not be read"
        };
        Answer::error(status, text)
    })
}

/// The body as JSON. Of another type it counts as an empty object, as in the original; so no web page can send one
/// without asking first.
fn json_body(headers: &HeaderMap, body: Body) -> Result<Json, Answer> {
    let body = whole(body)?;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") || body.is_empty() {
        return Ok(Json::Object(Object::default()));
    }
    let text = std::str::from_utf8(&body).ok();
    text.and_then(|text| Json::parse(text).ok())
        .ok_or_else(|| Answer::bad("Request body is not JSON"))
}

fn unauthorized(text: &str) -> Answer {
    Answer::unauthorized(Json::Text(text.into()))
}

fn internal() -> Answer {
    Answer::error(StatusCode::INTERNAL_SERVER_ERROR, "Internal error")
}

/// Why an account was not opened.
fn not_opened(error: &UserError) -> Answer {
    match error {
        UserError::NoKey => Answer::error(StatusCode::NOT_FOUND, &error.to_string()),
        error => Answer::failure(&told(error)),
    }
}

/// What a client is told of an error: nothing of the inside.
fn told(error: &UserError) -> String {
    match error {
        UserError::Account(AccountError::Short | AccountError::Wrong)
        | UserError::Database(DatabaseError::Refused(_))
        | UserError::NoKey
        | UserError::Taken => error.to_string(),
        _ => "Internal error".to_owned(),
    }
}

impl From<Invalid> for Answer {
    fn from(Invalid(text): Invalid) -> Self {
        Self::bad(&text)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("1795219439353", 1_795_219_439_353.0)]
    #[case("1795219439353.001", 1_795_219_439_353.001)]
    #[case("0", 0.0)]
    #[case("", 0.0)]
    #[case("12abc", 0.0)]
    #[case("-5", 0.0)]
    #[case("+5", 0.0)]
    #[case("1e3", 0.0)]
    #[case(" 5", 0.0)]
    #[case("5.", 0.0)]
    #[case("NaN", 0.0)]
    #[case("Infinity", 0.0)]
    fn a_time_is_decimal_or_nothing(#[case] text: &str, #[case] ms: f64) {
        assert!((since(text) - ms).abs() < 1e-9, "{}", since(text));
        assert!(since(&"9".repeat(400)) < 1.0, "beyond a double");
    }

    #[rstest]
    #[case("", true)]
    #[case("localhost", true)]
    #[case("LocalHost:3006", true)]
    #[case("127.0.0.1:3006", true)]
    #[case("[::1]:3006", true)]
    #[case("192.168.0.9", true)]
    #[case("evil.example", false)]
    #[case("evil.example:3006", false)]
    #[case("localhost.evil.example:3006", false)]
    fn only_names_that_nobody_can_take_are_own(#[case] host: &str, #[case] own: bool) {
        assert_eq!(is_own_name(host), own);
    }
}
