//! Who asks: [`Source`], and how much each may ask for: [`Visitors`].
//!
//! A proxy on the same machine, or one that the settings name, is believed when it says for whom it asks, in
//! `X-Forwarded-For`. What anybody else says there is not looked at. Requests from the machine itself are not limited.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::http::{HeaderMap, HeaderName};
use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
};

use crate::config::{Rate, ServerLimits};

/// For whom a proxy asks: addresses, the one that it took the request from last.
const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-for");
/// After how many requests the sources that did not ask lately are forgotten.
const SWEEP: u64 = 4096;

/// The other end of a connection, in the extensions of its requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Where requests come from: an IPv4 address, or the /64 of an IPv6 address, which belongs to one household.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Source(IpAddr);

impl Source {
    fn of(address: IpAddr) -> Self {
        /// The bits of an IPv6 address that name a network.
        const NETWORK: u128 = u128::MAX << 64;
        Self(match address.to_canonical() {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & NETWORK).into(),
        })
    }
}

/// What each source does, and may do.
#[derive(Debug)]
pub(crate) struct Visitors {
    proxies: Vec<IpAddr>,
    /// Whether the machine itself is a proxy.
    trusts_itself: bool,
    rate: Option<DefaultKeyedRateLimiter<Source>>,
    checks: AtomicU64,
    /// Most connections of a source.
    most: usize,
    open: Mutex<HashMap<Source, usize>>,
}

impl Visitors {
    pub(crate) fn new(limits: &ServerLimits) -> Self {
        let limiter = |Rate { per_second, burst }| {
            RateLimiter::keyed(Quota::per_second(per_second).allow_burst(burst))
        };
        Self {
            proxies: limits.trusted_proxies.iter().map(IpAddr::to_canonical).collect(),
            trusts_itself: true,
            rate: limits.rate.map(limiter),
            checks: AtomicU64::new(0),
            most: limits.connections_per_address,
            open: Mutex::default(),
        }
    }

    /// Treats the machine itself as anybody else, from where tests come.
    #[cfg(test)]
    pub(crate) fn without_trust(self) -> Self {
        Self { trusts_itself: false, ..self }
    }

    /// Who asks. `None` is the machine itself, or a proxy that does not say for whom.
    pub(crate) fn source(&self, peer: IpAddr, headers: &HeaderMap) -> Option<Source> {
        if !self.trusts(peer) {
            return Some(Source::of(peer));
        }
        // Each proxy adds at the end whom it took the request from; the first that is no proxy of ours asked.
        let lines: Vec<_> = headers.get_all(FORWARDED).iter().collect();
        let names = lines.iter().rev().flat_map(|line| {
            line.to_str().unwrap_or("none").rsplit(',').map(|name| address(name.trim()))
        });
        for name in names {
            let address = name?;
            if !self.trusts(address) {
                return Some(Source::of(address));
            }
        }
        None
    }

    /// Counts a request. When it is one too many, it says how long to wait.
    pub(crate) fn admit(&self, source: Source) -> Result<(), Duration> {
        let Some(rate) = &self.rate else { return Ok(()) };
        if self.checks.fetch_add(1, Ordering::Relaxed) % SWEEP == SWEEP - 1 {
            rate.retain_recent();
        }
        rate.check_key(&source).map_err(|until| until.wait_time_from(DefaultClock::default().now()))
    }

    /// A place for a connection, if its source has not too many.
    pub(crate) fn connect(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        if self.trusts(peer) {
            return Some(Place(None));
        }
        let source = Source::of(peer);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(source).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Place(Some((Arc::clone(self), source))))
    }

    fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        (self.trusts_itself && peer.is_loopback()) || self.proxies.contains(&peer)
    }
}

/// A connection's place; it is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place(Option<(Arc<Visitors>, Source)>);

impl Drop for Place {
    fn drop(&mut self) {
        let Some((visitors, source)) = &self.0 else { return };
        let mut open = visitors.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(source) {
            *count -= 1;
            if *count == 0 {
                open.remove(source);
            }
        }
    }
}

/// An address, some proxies add a port.
fn address(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    text.parse().ok().or_else(with_port)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn visitors(limits: &ServerLimits) -> Arc<Visitors> {
        Arc::new(Visitors::new(limits))
    }

    fn forwarded(lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (FORWARDED, line.parse().unwrap())).collect()
    }

    #[rstest]
    // A stranger is whoever it is, whatever it says.
    #[case("192.0.2.1", &[], Some("192.0.2.1"))]
    #[case("192.0.2.1", &["127.0.0.1"], Some("192.0.2.1"))]
    #[case("::ffff:192.0.2.1", &[], Some("192.0.2.1"))]
    #[case("2001:db8::1:2:3:4", &[], Some("2001:db8::"))]
    // The machine itself, and proxies.
    #[case("127.0.0.1", &[], None)]
    #[case("::1", &[], None)]
    #[case("::ffff:127.0.0.1", &[], None)]
    #[case("198.51.100.7", &[], None)]
    #[case("127.0.0.1", &["192.0.2.1"], Some("192.0.2.1"))]
    #[case("198.51.100.7", &["192.0.2.1:4711"], Some("192.0.2.1"))]
    #[case("198.51.100.7", &["[2001:db8::1]:4711"], Some("2001:db8::"))]
    // What a client wrote itself stands before what the proxy adds.
    #[case("127.0.0.1", &["203.0.113.9, 192.0.2.1"], Some("192.0.2.1"))]
    #[case("127.0.0.1", &["203.0.113.9", "192.0.2.1, 198.51.100.7"], Some("192.0.2.1"))]
    #[case("127.0.0.1", &["nonsense, 192.0.2.1"], Some("192.0.2.1"))]
    #[case("127.0.0.1", &["192.0.2.1, nonsense"], None)]
    fn a_request_has_a_source(
        #[case] peer: &str,
        #[case] lines: &[&str],
        #[case] want: Option<&str>,
    ) {
        let limits = ServerLimits::default().trusted_proxies(["198.51.100.7".parse().unwrap()]);
        let want = want.map(|want| Source(want.parse().unwrap()));
        assert_eq!(visitors(&limits).source(peer.parse().unwrap(), &forwarded(lines)), want);
    }

    #[test]
    fn a_source_asks_so_often_and_no_more() {
        let one = std::num::NonZeroU32::MIN;
        let limits = ServerLimits::default()
            .rate(Some(Rate { per_second: one, burst: one.saturating_add(2) }));
        let visitors = visitors(&limits);
        let source = |text: &str| Source::of(text.parse().unwrap());
        for _ in 0..3 {
            assert_eq!(visitors.admit(source("2001:db8::1")), Ok(()));
        }
        let wait = visitors.admit(source("2001:db8::2")).unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(1), "{wait:?}");
        assert_eq!(visitors.admit(source("2001:db8:0:1::1")), Ok(()), "others are not concerned");
        let free = Visitors::new(&ServerLimits::default().rate(None));
        assert!((0..10_000).all(|_| free.admit(source("192.0.2.1")).is_ok()));
    }

    #[test]
    fn sources_that_ask_no_more_are_forgotten() {
        let many = std::num::NonZeroU32::MAX;
        let limits = ServerLimits::default().rate(Some(Rate { per_second: many, burst: many }));
        let visitors = visitors(&limits);
        for n in 0..3 * u32::try_from(SWEEP).unwrap() {
            visitors.admit(Source(IpAddr::V4(n.into()))).unwrap();
        }
        let held = visitors.rate.as_ref().unwrap().len();
        assert!(held <= usize::try_from(SWEEP).unwrap(), "{held}");
    }

    #[test]
    fn a_source_has_so_many_connections_and_no_more() {
        let visitors = visitors(&ServerLimits::default().connections_per_address(2));
        let peer = "192.0.2.1".parse().unwrap();
        let places: Vec<_> = (0..3).map(|_| visitors.connect(peer)).collect();
        assert!(matches!(&places[..], [Some(_), Some(_), None]), "{places:?}");
        assert!(visitors.connect("192.0.2.2".parse().unwrap()).is_some());
        let local = IpAddr::from([127, 0, 0, 1]);
        assert!(
            (0..9).map(|_| visitors.connect(local)).collect::<Vec<_>>().iter().all(Option::is_some)
        );
        drop(places);
        assert!(visitors.open.lock().unwrap().is_empty());
        assert!(visitors.connect(peer).is_some());
    }

    proptest! {
        #[test]
        fn any_header_is_read(lines in prop::collection::vec("[ -~]{0,40}", 0..4)) {
            let lines: Vec<_> = lines.iter().map(String::as_str).collect();
            let _ = visitors(&ServerLimits::default()).source([127, 0, 0, 1].into(), &forwarded(&lines));
        }
    }
}
