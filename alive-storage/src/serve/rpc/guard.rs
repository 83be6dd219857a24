//! Who may call: [`guard`].

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, Method, Uri, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::{Rpc, answer::Refusal};
use crate::{serve::query::Query, store::BlockStore};

/// Lets a call through that is made with POST, from no foreign page, with the token if there is one, and gives it as much
/// time as it allows itself.
pub(super) async fn guard<S: BlockStore + 'static>(
    State(rpc): State<Arc<Rpc<S>>>,
    request: Request,
    next: Next,
) -> Response {
    if let Err(refusal) = may_call(&rpc, request.method(), request.headers()) {
        return refusal.into_response();
    }
    match allowed_time(request.uri()) {
        Err(refusal) => refusal.into_response(),
        Ok(None) => next.run(request).await,
        Ok(Some(time)) => match tokio::time::timeout(time, next.run(request)).await {
            Ok(response) => response,
            Err(_) => Refusal::Timeout.into_response(),
        },
    }
}

fn may_call<S>(rpc: &Rpc<S>, method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
    if method != Method::POST {
        return Err(Refusal::Method);
    }
    // A browser says where a call comes from; no other program does. This face is for programs.
    let host = text(headers, header::HOST);
    let own = |origin: &str| {
        let authority = origin.parse::<Uri>().ok().and_then(|uri| uri.into_parts().authority);
        authority.is_some_and(|own| Some(own.as_str()) == host && cannot_be_rebound(own.host()))
    };
    let told = [header::ORIGIN, header::REFERER].into_iter().filter_map(|name| {
        headers.contains_key(&name).then(|| text(headers, name).unwrap_or_default())
    });
    if !told.into_iter().all(own) {
        return Err(Refusal::ForeignOrigin);
    }
    let presented = text(headers, header::AUTHORIZATION).and_then(|value| value.split_once(' '));
    match &rpc.config.token {
        None => Ok(()),
        Some(token) => match presented {
            Some((scheme, secret))
                if scheme.eq_ignore_ascii_case("bearer") && token.is(secret.trim()) =>
            {
                Ok(())
            }
            _ => Err(Refusal::Denied),
        },
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Whether a page of this host is ours. A name is none: its owner may point it at this machine after the page has come
/// ("DNS rebinding"), and then it stands in `Host` as well.
fn cannot_be_rebound(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
}

/// The option `timeout`: a number with a unit, as `2s` or `500ms`.
fn allowed_time(uri: &Uri) -> Result<Option<Duration>, Refusal> {
    let query = Query::parse(uri.query());
    let Some(text) = query.one("timeout").filter(|text| !text.is_empty()) else { return Ok(None) };
    duration(text)
        .map(Some)
        .ok_or_else(|| super::answer::refused("timeout", text, "a number with ms, s, m or h"))
}

fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_be_pointed_elsewhere_and_addresses_may_not() {
        for ours in ["localhost", "LocalHost", "127.0.0.1", "[::1]", "192.168.1.2"] {
            assert!(cannot_be_rebound(ours), "{ours}");
        }
        for theirs in ["localhost.example", "127.0.0.1.example", "example", "", "[::1"] {
            assert!(!cannot_be_rebound(theirs), "{theirs}");
        }
    }

    #[test]
    fn times_have_units() {
        assert_eq!(duration("2s"), Some(Duration::from_secs(2)));
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("1.5m"), Some(Duration::from_secs(90)));
        assert_eq!(duration("3"), Some(Duration::from_secs(3)));
        for wrong in ["", "s", "-1s", "1e9s", "2 s", "2x", "1..2s"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }
}
