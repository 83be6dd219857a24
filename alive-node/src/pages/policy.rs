//! What a browser lets a page do: its content security policy.

use alive_core::GatewayUrl;
use axum::http::HeaderValue;

use super::address::is_authority;

/// Which pages may show a page in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Anywhere,
    Nowhere,
}

/// A gateway that a policy can name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    base: String,
    scheme: &'static str,
    host: String,
}

impl Source {
    /// `None` if its host has characters that mean something in a policy.
    pub(super) fn of(gateway: &GatewayUrl) -> Option<Self> {
        let base = gateway.base();
        let (scheme, rest) = ["https://", "http://"]
            .iter()
            .find_map(|scheme| Some((*scheme, base.strip_prefix(scheme)?)))?;
        let host = rest.split('/').next().filter(|host| is_authority(host))?;
        Some(Self { base: base.to_owned(), scheme, host: host.to_owned() })
    }

    /// What stands before `/ipfs/`.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// The server itself.
    fn origin(&self) -> String {
        format!(" {}{}", self.scheme, self.host)
    }

    /// The gateway and, where it redirects to a host of its own for each content id, those.
    fn expression(&self) -> String {
        let Self { scheme, host, .. } = self;
        let named = host.starts_with(|c: char| c.is_ascii_alphabetic()) && host.contains('.');
        if named { format!(" {scheme}{host} {scheme}*.ipfs.{host}") } else { self.origin() }
    }
}

/// Scripts and styles of this server, none in the page; segments from this node and these gateways; questions to these
/// APIs; nothing else.
pub(super) fn content_security_policy(
    gateways: &[Source],
    apis: &[Source],
    framing: Framing,
) -> HeaderValue {
    let apis: String = apis.iter().map(Source::origin).collect();
    let gateways: String = gateways.iter().map(Source::expression).collect();
    let ancestors = match framing {
        Framing::Anywhere => "*",
        Framing::Nowhere => "'none'",
    };
    let policy = format!(
        "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self'; \
         connect-src 'self'{gateways}{apis}; media-src 'self' blob:{gateways}; base-uri 'none'; \
         form-action 'none'; frame-ancestors {ancestors}"
    );
    // Only characters of hosts are put in.
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn a_policy_names_the_gateways_and_nobody_else() {
        let gateways = ["https://ipfs.example/x/", "http://127.0.0.1:8080"];
        let gateways = gateways.map(|url| Source::of(&url.parse().unwrap()).unwrap());
        assert_eq!(
            gateways.each_ref().map(Source::base),
            ["https://ipfs.example/x", "http://127.0.0.1:8080"]
        );
        let policy = content_security_policy(&gateways, &[], Framing::Nowhere);
        let policy = policy.to_str().unwrap();
        let hosts = "https://ipfs.example https://*.ipfs.ipfs.example http://127.0.0.1:8080";
        assert!(policy.contains(&format!("; connect-src 'self' {hosts};")), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"));
        let embed = content_security_policy(&[], &[], Framing::Anywhere);
        assert!(embed.to_str().unwrap().ends_with("frame-ancestors *"));
    }

    #[test]
    fn an_api_may_be_asked_and_serves_nothing_else() {
        let api = Source::of(&"https://api.example/rpc".parse().unwrap()).unwrap();
        let policy = content_security_policy(&[], &[api], Framing::Nowhere);
        let policy = policy.to_str().unwrap();
        assert!(policy.contains("; connect-src 'self' https://api.example;"), "{policy}");
        assert_eq!(policy.matches("example").count(), 1, "{policy}");
    }

    #[rstest]
    #[case("https://x;script-src")]
    #[case("https://x,y")]
    #[case("https://a*")]
    #[case("https://x'unsafe-inline'")]
    fn what_would_be_another_directive_is_no_source(#[case] gateway: &str) {
        assert_eq!(Source::of(&gateway.parse().unwrap()), None);
    }
}
