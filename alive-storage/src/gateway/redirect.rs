//! Which redirects of a gateway are followed: those that lead to the same content, on the gateway itself or on the public
//! internet, and never from `https` to `http`. Source: `spec/storage.md`, section 6.

use alive_core::Excerpt;
use reqwest::Url;

use crate::{
    cid::{self, Cid},
    http::{HttpError, Reach},
};

/// Most redirects for one question: from a path to a subdomain, and from `http` to `https`.
pub(super) const MAX_REDIRECTS: usize = 3;

/// Checks a redirect.
pub(crate) fn check(home: &Url, from: &Url, to: &Url, cid: &Cid) -> Result<(), HttpError> {
    let web = to.scheme() == "https" || (to.scheme() == "http" && from.scheme() == "http");
    let bare = to.username().is_empty() && to.password().is_none();
    let reachable = is_home(home, to) || Reach::Public.allows_host(to);
    if web && bare && reachable && names(to, cid) {
        Ok(())
    } else {
        Err(HttpError::Redirect(Excerpt::of(to.host_str().unwrap_or_default())))
    }
}

/// Whether a URL is on the gateway that was named to us.
pub(super) fn is_home(home: &Url, url: &Url) -> bool {
    home.scheme() == url.scheme()
        && home.host_str() == url.host_str()
        && home.port_or_known_default() == url.port_or_known_default()
}

/// Whether a URL names a CID, in its path or as a subdomain.
fn names(url: &Url, cid: &Cid) -> bool {
    let same = |text: &str| cid::parse(text).is_ok_and(|named| named.hash() == cid.hash());
    let mut labels = url.host_str().unwrap_or_default().split('.');
    let (first, second) = (labels.next().unwrap_or_default(), labels.next());
    if second == Some("ipfs") && same(first) {
        return true;
    }
    let path = url.path_segments().into_iter().flatten().collect::<Vec<_>>();
    path.windows(2).any(|pair| matches!(pair, [space, id] if *space == "ipfs" && same(id)))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const V0: &str = "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD";
    const V1: &str = "bafybeihykld7uyxzogax6vgyvag42y7464eywpf55gxi5qpoisibh3c5wa";

    fn goes(home: &str, to: &str) -> bool {
        let home: Url = home.parse().unwrap();
        let cid = cid::parse(V0).unwrap();
        let to = home.join(&to.replace("V0", V0).replace("V1", V1)).unwrap();
        check(&home, &home, &to, &cid).is_ok()
    }

    #[rstest]
    #[case("http://gw.example", "https://gw.example/ipfs/V0")]
    #[case("http://gw.example", "http://V1.ipfs.gw.example/?format=raw")]
    #[case("https://gw.example", "https://V1.ipfs.other.example/")]
    #[case("http://127.0.0.1:8080", "/ipfs/V1?format=raw")]
    #[case("http://127.0.0.1:8080", "http://127.0.0.1:8080/sub/ipfs/V1")]
    #[case("https://gw.example", "https://1.1.1.1/ipfs/V0")]
    fn the_same_content_elsewhere_is_followed(#[case] home: &str, #[case] to: &str) {
        assert!(goes(home, to));
    }

    #[rstest]
    #[case::loopback("http://gw.example", "http://127.0.0.1/ipfs/V0")]
    #[case::other_port("http://127.0.0.1:8080", "http://127.0.0.1:5001/ipfs/V0")]
    #[case::metadata("http://gw.example", "http://169.254.169.254/ipfs/V0")]
    #[case::v6("http://gw.example", "http://[::1]:5001/ipfs/V0")]
    #[case::mapped("http://gw.example", "http://[::ffff:10.0.0.1]/ipfs/V0")]
    #[case::decimal("http://gw.example", "http://2130706433/ipfs/V0")]
    #[case::downgrade("https://gw.example", "http://gw.example/ipfs/V0")]
    #[case::file("http://gw.example", "file:///ipfs/V0")]
    #[case::login("http://gw.example", "http://a:b@gw.example/ipfs/V0")]
    #[case::other_content(
        "http://gw.example",
        "/ipfs/QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"
    )]
    #[case::no_content("http://gw.example", "/login")]
    #[case::content_in_the_query("http://gw.example", "/?to=/ipfs/V0")]
    fn everything_else_is_not(#[case] home: &str, #[case] to: &str) {
        assert!(!goes(home, to));
    }
}
