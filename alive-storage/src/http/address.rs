//! Which addresses may be spoken to: [`Reach`].
//!
//! A gateway's address can come from an operation of any account, and a redirect from any gateway. Neither may make a
//! node speak to its own machine or to the network that it stands in.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
};

/// Which addresses may be spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reach {
    /// All: the operator has named the server.
    #[default]
    Any,
    /// Only those of the public internet, whatever a name resolves to and however often: no loopback, no private or
    /// link-local networks, no multicast, and no IPv6 address that leads to such an IPv4 address.
    Public,
}

impl Reach {
    /// Whether an address may be spoken to.
    ///
    /// ```
    /// use alive_storage::Reach;
    /// assert!(Reach::Public.allows("1.1.1.1".parse()?));
    /// assert!(!Reach::Public.allows("169.254.169.254".parse()?));
    /// assert!(!Reach::Public.allows("::ffff:10.0.0.1".parse()?));
    /// assert!(Reach::Any.allows("127.0.0.1".parse()?));
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    pub fn allows(self, address: IpAddr) -> bool {
        match (self, address) {
            (Self::Any, _) => true,
            (Self::Public, IpAddr::V4(address)) => is_public_v4(address),
            (Self::Public, IpAddr::V6(address)) => is_public_v6(address),
        }
    }

    /// Whether an address that stands in the URL as digits may be spoken to. Names are looked at when they are resolved.
    pub(crate) fn allows_host(self, url: &Url) -> bool {
        url.has_host() && host_ip(url).is_none_or(|address| self.allows(address))
    }
}

/// The address that the host of a URL is, if it is no name. URLs hold IPv4 addresses in dotted form whatever the spelling was.
fn host_ip(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Resolves names, and leaves out addresses that are not public.
pub(super) struct PublicNames;

impl Resolve for PublicNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> =
                found.filter(|address| Reach::Public.allows(address.ip())).collect();
            if public.is_empty() {
                return Err(NotPublic.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// A name has no public address.
#[derive(Debug, thiserror::Error)]
#[error("the name of the host has no public address")]
struct NotPublic;

/// Source: the IANA registry of special-purpose IPv4 addresses.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = matches!(
        (a, b, c),
        (0 | 10 | 127 | 224.., ..)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    );
    !special
}

/// Global unicast without its special parts, and what embeds a public IPv4 address.
/// Source: the IANA registry of special-purpose IPv6 addresses.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        // IPv4-mapped, the well-known prefix of translators, and 6to4.
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => v4(high, low),
        // Protocol assignments with Teredo, and the two ranges for documentation.
        [0x2001, 0..=0x01ff | 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => false,
        [first, ..] => (0x2000..=0x3fff).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("0.0.0.0")]
    #[case("10.1.2.3")]
    #[case("100.64.0.1")]
    #[case("127.0.0.1")]
    #[case("127.255.255.254")]
    #[case("169.254.169.254")]
    #[case("172.16.0.1")]
    #[case("172.31.255.255")]
    #[case("192.0.0.8")]
    #[case("192.0.2.1")]
    #[case("192.168.1.1")]
    #[case("198.19.0.1")]
    #[case("198.51.100.7")]
    #[case("203.0.113.9")]
    #[case("224.0.0.251")]
    #[case("255.255.255.255")]
    #[case("::")]
    #[case("::1")]
    #[case("::127.0.0.1")]
    #[case("::ffff:127.0.0.1")]
    #[case("::ffff:192.168.0.1")]
    #[case("64:ff9b::10.0.0.1")]
    #[case("64:ff9b:1::1.1.1.1")]
    #[case("100::1")]
    #[case("2001::1")]
    #[case("2001:db8::1")]
    #[case("2002:7f00:1::")]
    #[case("2002:c0a8:101::1")]
    #[case("3fff::1")]
    #[case("fc00::1")]
    #[case("fd12:3456::1")]
    #[case("fe80::1")]
    #[case("fec0::1")]
    #[case("ff02::1")]
    fn addresses_of_no_public_network_are_refused(#[case] address: IpAddr) {
        assert!(!Reach::Public.allows(address));
        assert!(Reach::Any.allows(address));
    }

    #[rstest]
    #[case("1.1.1.1")]
    #[case("100.128.0.1")]
    #[case("172.32.0.1")]
    #[case("192.167.1.1")]
    #[case("223.255.255.1")]
    #[case("::ffff:8.8.8.8")]
    #[case("64:ff9b::8.8.8.8")]
    #[case("2002:808:808::1")]
    #[case("2606:4700:4700::1111")]
    fn addresses_of_the_internet_are_allowed(#[case] address: IpAddr) {
        assert!(Reach::Public.allows(address));
    }

    #[rstest]
    #[case("http://127.1/")]
    #[case("http://0x7f000001/")]
    #[case("http://2130706433/")]
    #[case("http://0177.0.0.1/")]
    #[case("http://[::1]:5001/")]
    #[case("http://[::ffff:7f00:1]/")]
    fn no_spelling_of_an_address_gets_through(#[case] url: Url) {
        assert!(!Reach::Public.allows_host(&url));
    }

    #[tokio::test]
    async fn a_name_of_the_own_machine_resolves_to_nothing() {
        let found = PublicNames.resolve("localhost".parse().unwrap()).await;
        assert!(found.is_err());
    }
}
