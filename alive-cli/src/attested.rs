//! One stream on several chains: which segments each attests ([`Attested`]).

use alive_core::{Listed, MergedList, Network, Segment, Settings, StreamId, Twins};

use crate::output;

/// The segments of a stream by the chains that tell of them.
#[derive(Debug, Default)]
pub(crate) struct Attested {
    networks: Vec<Network>,
    lists: Vec<Vec<Listed>>,
    names: Vec<(StreamId, Settings)>,
}

impl Attested {
    /// Adds what a chain tells, in its order.
    pub(crate) fn add(&mut self, id: StreamId, settings: Settings, segments: &[Segment]) {
        let listed = |segment: &Segment| Listed { segment: *segment, seq: None };
        self.lists.push(segments.iter().map(listed).collect());
        self.networks.push(id.network.clone());
        self.names.push((id, settings));
    }

    fn merged(&self) -> MergedList {
        let mut merged = MergedList::default();
        merged.extend(&self.lists.iter().map(|list| &**list).collect::<Vec<_>>());
        merged
    }

    /// The pairs of streams of which one does not name the other, so that nodes show them apart.
    fn apart(&self) -> impl Iterator<Item = (&StreamId, &StreamId)> {
        let pairs =
            self.names.iter().enumerate().flat_map(|(at, one)| {
                self.names.iter().skip(at + 1).map(move |other| (one, other))
            });
        pairs
            .filter(|((one, of_one), (other, of_other))| {
                !Twins::are_mutual((one, of_one), (other, of_other))
            })
            .map(|((one, _), (other, _))| (one, other))
    }

    /// Says what each chain attests, where there are several, and gives the number of problems.
    pub(crate) fn report(&self) -> usize {
        if self.lists.len() < 2 {
            return 0;
        }
        for (one, other) in self.apart() {
            output::line(format_args!(
                "{one} and {other} do not name each other, so nodes show them apart; see `alive configure --also`"
            ));
        }
        let merged = self.merged();
        if merged.contradictions() > 0 {
            output::line("PROBLEM the networks tell two orders of the same segments");
            return 1;
        }
        let of = |place| {
            let chains = self.networks.iter().enumerate();
            let attests = chains.filter(|(chain, _)| merged.place_in(*chain, place).is_some());
            attests.map(|(_, network)| network.to_string()).collect::<Vec<_>>()
        };
        let networks: Vec<_> = (0..merged.listed().len()).map(of).collect();
        let all = networks.iter().filter(|of| of.len() == self.networks.len()).count();
        output::line(format_args!("merged: {} segments, {all} on every network", networks.len()));
        for (at, (listed, of)) in merged.listed().iter().zip(&networks).enumerate() {
            if of.len() < self.networks.len() {
                let content = listed.segment.content;
                output::line(format_args!("segment {at} {content}: only on {}", of.join(", ")));
            }
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use alive_core::{Configure, Stream, Timestamp};

    use super::*;

    fn segments(numbers: &[u8]) -> Vec<Segment> {
        let segment = |n: &u8| {
            // A digit each for its upper and its lower four bits, in the middle of the hash.
            let digit = |bits: u8| char::from(b'a' + bits);
            let middle: String = [digit(n >> 4), digit(n & 15)].iter().collect();
            let id = format!("bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wo{middle}6n5e");
            Segment::new(id.parse().unwrap(), "10".parse().unwrap())
        };
        numbers.iter().map(segment).collect()
    }

    fn attested(chains: &[(&str, &str, &[u8])]) -> Attested {
        let mut attested = Attested::default();
        for (id, also, numbers) in chains {
            let also = Some(also.parse().unwrap());
            let configure = Configure { also, ..Configure::new("s".parse().unwrap()) };
            let stream = Stream::create(&configure, 0, 1, Timestamp::EPOCH);
            let settings = Settings::clone(&stream.info().settings);
            attested.add(id.parse().unwrap(), settings, &segments(numbers));
        }
        attested
    }

    #[test]
    fn two_orders_are_a_problem_and_losses_are_none() {
        let of = |one: &[u8], other: &[u8]| {
            attested(&[("hive/a/s", "", one), ("avalon/a/s", "", other)]).report()
        };
        assert_eq!(of(&[1, 2, 3, 5], &[2, 3, 4, 5, 6]), 0);
        assert_eq!(of(&[], &[1, 1]), 0);
        assert_eq!(of(&[1, 2, 3], &[2, 1, 3]), 1);
        assert_eq!(attested(&[("hive/a/s", "", &[1, 2])]).report(), 0);
    }

    #[test]
    fn who_does_not_name_the_other_is_told() {
        let apart = |chains: &[(&str, &str, &[u8])]| attested(chains).apart().count();
        let (hive, avalon) = ("hive/a/s", "avalon/b/t");
        assert_eq!(apart(&[(hive, avalon, &[]), (avalon, hive, &[])]), 0);
        assert_eq!(apart(&[(hive, avalon, &[]), (avalon, "", &[])]), 1);
        assert_eq!(apart(&[(hive, "", &[]), (avalon, "", &[]), ("blurt/c/u", "", &[])]), 3);
    }
}
