//! How often one address may try: [`Limiter`].

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// A bucket of tokens for every address: full at first, refilled one a second.
#[derive(Debug)]
pub(super) struct Limiter {
    burst: u32,
    /// When the bucket of an address will be full again.
    full_at: Mutex<HashMap<IpAddr, Instant>>,
}

impl Limiter {
    const REFILL: Duration = Duration::from_secs(1);
    /// Most addresses that are remembered. When so many are busy at once, no other is let in.
    const ADDRESSES: usize = 16_384;

    pub(super) fn new(burst: u32) -> Self {
        Self { burst: burst.max(1), full_at: Mutex::default() }
    }

    /// Whether this address may try now; counts it if so.
    pub(super) fn admits(&self, address: IpAddr, now: Instant) -> bool {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let address = network(address);
        if full_at.len() >= Self::ADDRESSES && !full_at.contains_key(&address) {
            full_at.retain(|_, full_at| *full_at > now);
            if full_at.len() >= Self::ADDRESSES {
                return false;
            }
        }
        let full = full_at.entry(address).or_insert(now);
        let after = (*full).max(now) + Self::REFILL;
        let admits = after <= now + Self::REFILL * self.burst;
        if admits {
            *full = after;
        }
        admits
    }
}

/// What belongs to one customer: an IPv4 address, or the /64 of an IPv6 address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            [a, b, c, d, 0, 0, 0, 0].into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_a_burst_and_then_one_a_second() {
        let (limiter, now) = (Limiter::new(3), Instant::now());
        let tries = |at: Duration| {
            (0..5).filter(|_| limiter.admits(address("192.0.2.1"), now + at)).count()
        };
        assert_eq!(tries(Duration::ZERO), 3);
        assert_eq!(tries(Duration::from_millis(999)), 0);
        assert_eq!(tries(Duration::from_secs(2)), 2);
        assert_eq!(tries(Duration::from_secs(99)), 3);
        assert!(limiter.admits(address("192.0.2.2"), now), "another has its own");
    }

    #[test]
    fn the_addresses_of_one_network_count_as_one() {
        let (limiter, now) = (Limiter::new(1), Instant::now());
        assert!(limiter.admits(address("2001:db8:1:2::1"), now));
        assert!(!limiter.admits(address("2001:db8:1:2:ffff::9"), now));
        assert!(limiter.admits(address("2001:db8:1:3::1"), now));
        assert!(limiter.admits(address("192.0.2.1"), now));
        assert!(!limiter.admits(address("::ffff:192.0.2.1"), now), "the same in another form");
    }

    #[test]
    fn it_remembers_a_bounded_number_of_addresses() {
        let (limiter, now) = (Limiter::new(1), Instant::now());
        let at = |n: u32| IpAddr::from(n.to_be_bytes());
        let most = u32::try_from(Limiter::ADDRESSES).unwrap();
        assert!((0..most).all(|n| limiter.admits(at(n), now)));
        assert!(!limiter.admits(at(most), now), "all are busy");
        assert!(limiter.admits(at(most), now + Duration::from_secs(1)), "none is any more");
        assert_eq!(limiter.full_at.lock().unwrap().len(), 1);
    }
}
