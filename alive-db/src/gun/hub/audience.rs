//! Who has asked for what: [`Audiences`].

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::{
    gun::{NodeDelta, Part, Query},
    json::Text,
};

use super::LinkId;

/// Links by the souls and keys that they have asked for. A get of a range counts as one of the whole node: more than
/// asked for does no harm.
#[derive(Debug, Default)]
pub(super) struct Audiences {
    souls: HashMap<Text, Audience>,
}

#[derive(Debug, Default)]
struct Audience {
    all: BTreeSet<LinkId>,
    keys: HashMap<Text, BTreeSet<LinkId>>,
}

impl Audiences {
    /// Adds a link; whether it was not there.
    pub(super) fn add(&mut self, query: &Query, link: LinkId) -> bool {
        let audience = self.souls.entry(query.soul.clone()).or_default();
        match &query.part {
            Part::Key(key) => audience.keys.entry(key.clone()).or_default().insert(link),
            Part::All | Part::Range(_) => audience.all.insert(link),
        }
    }

    /// Removes a link.
    pub(super) fn remove(&mut self, query: &Query, link: LinkId) {
        let Some(audience) = self.souls.get_mut(&query.soul) else { return };
        match &query.part {
            Part::Key(key) => {
                if let Some(links) = audience.keys.get_mut(key) {
                    links.remove(&link);
                    if links.is_empty() {
                        audience.keys.remove(key);
                    }
                }
            }
            Part::All | Part::Range(_) => {
                audience.all.remove(&link);
            }
        }
        if audience.all.is_empty() && audience.keys.is_empty() {
            self.souls.remove(&query.soul);
        }
    }

    /// Whether anybody has asked for any of a node.
    pub(super) fn has(&self, soul: &Text) -> bool {
        self.souls.contains_key(soul)
    }

    /// Some links that have asked for any of a node.
    pub(super) fn of(&self, soul: &Text) -> impl Iterator<Item = LinkId> {
        let audience = self.souls.get(soul).into_iter();
        audience.flat_map(|a| a.all.iter().chain(a.keys.values().flatten()).copied())
    }

    /// Which links get which of these values, those that get the same together. Values are told by their place.
    pub(super) fn split(
        &self,
        nodes: &[NodeDelta],
        except: impl Fn(LinkId) -> bool,
    ) -> Vec<(Vec<usize>, Vec<LinkId>)> {
        // Mostly one node, and all who have asked for it: no table is needed.
        if let [node] = nodes {
            let Some(audience) = self.souls.get(&node.soul) else { return Vec::new() };
            if audience.keys.is_empty() {
                let links: Vec<_> = audience.all.iter().copied().filter(|l| !except(*l)).collect();
                return vec![((0..node.entries.len()).collect(), links)];
            }
        }
        let mut wanted: HashMap<LinkId, Vec<usize>> = HashMap::new();
        let mut place = 0;
        for node in nodes {
            let audience = self.souls.get(&node.soul);
            for (key, _, _) in &node.entries {
                let links = audience.into_iter().flat_map(|audience| {
                    let by_key = audience.keys.get(key).into_iter().flatten();
                    audience.all.iter().chain(by_key).copied()
                });
                let links: HashSet<_> = links.filter(|link| !except(*link)).collect();
                for link in links {
                    wanted.entry(link).or_default().push(place);
                }
                place += 1;
            }
        }
        let mut groups: HashMap<Vec<usize>, Vec<LinkId>> = HashMap::new();
        for (link, places) in wanted {
            groups.entry(places).or_default().push(link);
        }
        groups.into_iter().collect()
    }
}
