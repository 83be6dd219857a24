//! Addresses: where a stream's pages and lists are, and under what name people reach the node.

use std::fmt::{self, Display};

use alive_core::{GatewayUrl, StreamId};
use axum::http::{HeaderMap, header};
use percent_encoding::utf8_percent_encode;

use crate::api::IN_PATH;

/// A part of a path: an account may have any name.
pub(super) fn part(text: &str) -> impl Display + '_ {
    utf8_percent_encode(text, IN_PATH)
}

/// `/{root}/{network}/{account}/{link}`.
pub(super) fn page(root: &str, id: &StreamId) -> String {
    let StreamId { network, account, link } = id;
    format!("/{root}/{network}/{}/{link}", part(account.as_str()))
}

/// The list of a stream's qualities.
pub(super) fn list(id: &StreamId) -> String {
    format!("{}/master.m3u8", stream(id))
}

/// The segments of a stream's list, as JSON.
pub(super) fn segments(id: &StreamId) -> String {
    format!("{}/segments", stream(id))
}

/// The state of a stream, as JSON. All of its own routes begin so.
pub(super) fn stream(id: &StreamId) -> String {
    let StreamId { network, account, link } = id;
    format!("/v1/networks/{network}/streams/{}/{link}", part(account.as_str()))
}

/// Under what name people reach the node: `https://alive.example`. Prints as nothing if that is not known, so that what is
/// put behind it is relative.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Site(String);

impl Site {
    /// As the operator says, else as the browser asked. Whoever shares the answer must not mix hosts, which caches do not.
    pub(super) fn of(public_url: Option<&GatewayUrl>, headers: &HeaderMap) -> Self {
        if let Some(url) = public_url {
            return Self(url.base().to_owned());
        }
        let text =
            |name| headers.get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
        let host = text(header::HOST).filter(|host| is_authority(host));
        let secure = headers.get("x-forwarded-proto").is_some_and(|proto| proto == "https");
        let scheme = if secure { "https" } else { "http" };
        Self(host.map(|host| format!("{scheme}://{host}")).unwrap_or_default())
    }
}

impl Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a text can be the host and port of an address, and nothing else.
pub(super) fn is_authority(text: &str) -> bool {
    let known =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[') && text.chars().all(known)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use rstest::rstest;

    use super::*;

    #[test]
    fn any_name_of_an_account_stays_one_part_of_the_path() {
        let account = "a/../b?c#d\"e<f>é".parse().unwrap();
        let id = StreamId::new(alive_core::Network::hive(), account, "s-1".parse().unwrap());
        let encoded = "a%2F..%2Fb%3Fc%23d%22e%3Cf%3E%C3%A9";
        assert_eq!(page("watch", &id), format!("/watch/hive/{encoded}/s-1"));
        let stream = format!("/v1/networks/hive/streams/{encoded}/s-1");
        assert_eq!(list(&id), format!("{stream}/master.m3u8"));
        assert_eq!(segments(&id), format!("{stream}/segments"));
    }

    #[rstest]
    #[case("alive.example", None, "http://alive.example")]
    #[case("alive.example:3010", Some("https"), "https://alive.example:3010")]
    #[case("[::1]:3010", Some("http"), "http://[::1]:3010")]
    #[case("x\"><script>", None, "")]
    #[case("user@x", None, "")]
    #[case("x/y", None, "")]
    #[case("", None, "")]
    fn a_site_is_named_after_the_host_if_that_is_one(
        #[case] host: &str,
        #[case] proto: Option<&str>,
        #[case] want: &str,
    ) {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(host).unwrap());
        if let Some(proto) = proto {
            headers.insert("x-forwarded-proto", HeaderValue::from_str(proto).unwrap());
        }
        assert_eq!(Site::of(None, &headers).to_string(), want);
        let public = "https://tv.example/".parse().unwrap();
        assert_eq!(Site::of(Some(&public), &headers).to_string(), "https://tv.example");
    }
}
