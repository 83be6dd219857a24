//! One stream on several chains: which segments each attests ([`Attested`]).
//!
//! Chains number pushes by themselves and bundle segments as they came through, so only the content of segments can be
//! compared. A chain that lacks some was slow or gone; two that tell another order tell two streams.

use alive_core::{ContentId, Network};

use crate::output;

/// The segments of a stream by the chains that tell of them.
#[derive(Debug, Default)]
pub(crate) struct Attested(Vec<(Network, Vec<ContentId>)>);

impl Attested {
    /// Adds what a chain tells, in its order.
    pub(crate) fn add(&mut self, network: Network, segments: Vec<ContentId>) {
        self.0.push((network, segments));
    }

    /// All segments in one order, each with the chains that attest it. Segments that one chain lacks stand where the
    /// others have them. `None` if two chains tell two orders.
    pub(crate) fn merged(&self) -> Option<Vec<(ContentId, Vec<&Network>)>> {
        let mut merged: Vec<(ContentId, Vec<&Network>)> = Vec::new();
        for (network, segments) in &self.0 {
            let mut at = 0;
            for segment in segments {
                let rest = merged.get(at..).unwrap_or_default();
                match rest.iter().position(|(known, _)| known == segment) {
                    Some(ahead) => at += ahead,
                    // Behind us, passed over: this chain tells it later. The same content twice is no contradiction.
                    None if passed_over(merged.get(..at).unwrap_or_default(), segment, network) => {
                        return None;
                    }
                    None => merged.insert(at, (*segment, Vec::new())),
                }
                if let Some((_, networks)) = merged.get_mut(at) {
                    networks.push(network);
                }
                at += 1;
            }
        }
        Some(merged)
    }

    /// Says what each chain attests, where there are several, and gives the number of problems.
    pub(crate) fn report(&self) -> usize {
        if self.0.len() < 2 {
            return 0;
        }
        let Some(merged) = self.merged() else {
            output::line("PROBLEM the networks tell two orders of the same segments");
            return 1;
        };
        let all = merged.iter().filter(|(_, networks)| networks.len() == self.0.len()).count();
        output::line(format_args!("merged: {} segments, {all} on every network", merged.len()));
        for (at, (segment, networks)) in merged.iter().enumerate() {
            if networks.len() < self.0.len() {
                let networks: Vec<_> = networks.iter().map(ToString::to_string).collect();
                output::line(format_args!(
                    "segment {at} {segment}: only on {}",
                    networks.join(", ")
                ));
            }
        }
        0
    }
}

/// Whether the others tell the segment here and this chain does not.
fn passed_over(
    behind: &[(ContentId, Vec<&Network>)],
    segment: &ContentId,
    network: &Network,
) -> bool {
    behind.iter().any(|(known, networks)| known == segment && !networks.contains(&network))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> ContentId {
        // A digit each for its upper and its lower four bits, in the middle of the hash.
        let digit = |bits: u8| char::from(b'a' + bits);
        let middle: String = [digit(n >> 4), digit(n & 15)].iter().collect();
        format!("bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wo{middle}6n5e")
            .parse()
            .unwrap()
    }

    fn attested(chains: &[(&str, &[u8])]) -> Attested {
        let mut attested = Attested::default();
        for (network, segments) in chains {
            attested.add(network.parse().unwrap(), segments.iter().map(|n| id(*n)).collect());
        }
        attested
    }

    fn merged(chains: &[(&str, &[u8])]) -> Option<Vec<(u8, String)>> {
        let attested = attested(chains);
        let names = |networks: &[&Network]| networks.iter().map(|n| &n.as_str()[..1]).collect();
        let number = |segment: ContentId| (0..=255).find(|n| id(*n) == segment).unwrap();
        let merged = attested.merged()?;
        Some(merged.iter().map(|(segment, networks)| (number(*segment), names(networks))).collect())
    }

    #[test]
    fn segments_that_one_chain_lacks_stand_where_the_other_has_them() {
        let chains: &[(&str, &[u8])] = &[("hive", &[1, 2, 3, 5]), ("avalon", &[2, 3, 4, 5, 6])];
        let want = [(1, "h"), (2, "ha"), (3, "ha"), (4, "a"), (5, "ha"), (6, "a")];
        assert_eq!(merged(chains).unwrap(), want.map(|(n, names)| (n, names.to_owned())));
        assert_eq!(attested(chains).report(), 0);
    }

    #[test]
    fn two_orders_are_a_problem() {
        let chains: &[(&str, &[u8])] = &[("hive", &[1, 2, 3]), ("avalon", &[2, 1, 3])];
        assert_eq!(merged(chains), None);
        assert_eq!(attested(chains).report(), 1);
    }

    #[test]
    fn a_chain_that_tells_nothing_takes_nothing_away() {
        let chains: &[(&str, &[u8])] = &[("hive", &[]), ("avalon", &[1, 1])];
        assert_eq!(merged(chains).unwrap(), [(1, "a".to_owned()), (1, "a".to_owned())]);
    }

    #[test]
    fn the_same_content_twice_stands_twice() {
        let chains: &[(&str, &[u8])] = &[("hive", &[1, 2, 1]), ("avalon", &[2, 1, 3, 3])];
        let want = [(1, "h"), (2, "ha"), (1, "ha"), (3, "a"), (3, "a")];
        assert_eq!(merged(chains).unwrap(), want.map(|(n, names)| (n, names.to_owned())));
    }
}
