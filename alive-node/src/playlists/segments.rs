//! What is known of the presence of one list's segments, or of the sections that they need, as an engine: [`Segments`].

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher as _, RandomState},
};

use alive_core::ContentId;

use crate::presence::{Absence, Found};

/// Which segments are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// All, whatever is known of them.
    All,
    /// Those that were not found, or of which the backend did not tell.
    Lacking,
    /// Those that were never looked for.
    New,
}

/// The presence of the segments of one list, by their place in it.
#[derive(Debug, Default)]
pub(super) struct Segments {
    states: Vec<State>,
    /// Places by the hash of the canonical id there, 16 bytes each instead of the 80 that ids would take. It is seeded, so
    /// nobody can aim at collisions; one by chance, to be expected in one of five hundred million lists of the largest
    /// kind, would tell of one segment what is true of another.
    places: HashMap<u64, u32>,
    hasher: RandomState,
    absent: BTreeMap<u32, Absence>,
    unsure: usize,
    unlooked: usize,
    /// Every place before was looked at once.
    first_unlooked: usize,
}

/// What is known of one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Absent(Absence),
    Here,
    /// It is not looked for: the streamer itself said that it is lost, it cannot be here, or it is looked for at another
    /// place.
    Ignored,
    Unlooked,
    Unsure,
}

impl State {
    fn is_in(self, pass: Pass) -> bool {
        match pass {
            Pass::All => self != Self::Ignored,
            Pass::Lacking => matches!(self, Self::Absent(_) | Self::Unsure),
            Pass::New => self == Self::Unlooked,
        }
    }
}

impl Segments {
    /// About how many bytes it takes for each segment.
    pub(super) const BYTES: usize = 40;

    /// Takes over what a list has behind that which it has, given from its beginning; `None` is not looked for.
    pub(super) fn extend(&mut self, listed: impl Iterator<Item = Option<ContentId>>) {
        let new = listed.skip(self.states.len());
        self.reserve(new.size_hint().0);
        new.for_each(|content| self.add(content, None));
    }

    /// Takes over a list that was made afresh. What is known of a segment is still known at its new place.
    pub(super) fn replace(&mut self, listed: impl Iterator<Item = Option<ContentId>>) {
        let hasher = self.hasher.clone();
        let old = std::mem::replace(self, Self { hasher, ..Self::default() });
        self.reserve(listed.size_hint().0);
        listed.for_each(|content| self.add(content, Some(&old)));
    }

    /// Takes the result of looking for a segment; whether anything is known now that was not.
    pub(super) fn settle(&mut self, id: &ContentId, found: Found) -> bool {
        let key = self.key(id);
        let Some(&place) = self.places.get(&key) else { return false };
        let Some(state) = self.states.get_mut(index(place)) else { return false };
        let new = match found {
            Found::Absent(absence) => State::Absent(absence),
            Found::Here => State::Here,
            // What was known stays known.
            Found::Unsure if *state == State::Unlooked => State::Unsure,
            Found::Unsure => return false,
        };
        let old = std::mem::replace(state, new);
        self.uncount(place, old);
        self.count(place, new);
        if self.unlooked == 0 {
            self.first_unlooked = self.states.len();
        }
        old != new
    }

    /// The next segments to look for from a place on, at most `limit`, and where to go on; `None` at the end.
    pub(super) fn batch(
        &self,
        listed: impl Iterator<Item = ContentId>,
        pass: Pass,
        from: usize,
        limit: usize,
    ) -> (Vec<ContentId>, Option<usize>) {
        let from = match pass {
            Pass::All | Pass::Lacking => from,
            Pass::New if self.unlooked == 0 => return (Vec::new(), None),
            Pass::New => from.max(self.first_unlooked),
        };
        let known = listed.zip(&self.states).enumerate().skip(from);
        let wanted = known.filter(|(_, (_, state))| state.is_in(pass));
        let batch: Vec<_> = wanted.take(limit).map(|(at, (content, _))| (at, content)).collect();
        let next = batch.last().filter(|_| batch.len() == limit).map(|(at, _)| at + 1);
        (batch.into_iter().map(|(_, content)| content).collect(), next)
    }

    /// The segments that were not found, by their place.
    pub(super) fn absent(&self) -> &BTreeMap<u32, Absence> {
        &self.absent
    }

    /// Why this one was not found, if so.
    pub(super) fn absence(&self, id: &ContentId) -> Option<Absence> {
        match self.state(self.key(id))? {
            State::Absent(absence) => Some(absence),
            _ => None,
        }
    }

    /// How many were not looked for yet, or the backend did not tell.
    pub(super) fn open(&self) -> usize {
        self.unlooked + self.unsure
    }

    /// How many were not looked for yet.
    pub(super) fn unlooked(&self) -> usize {
        self.unlooked
    }

    /// How many are to be looked for again soon.
    pub(super) fn lacking(&self) -> usize {
        self.absent.len() + self.unsure
    }

    fn reserve(&mut self, more: usize) {
        self.places.reserve(more);
        self.states.reserve(more);
    }

    fn add(&mut self, content: Option<ContentId>, old: Option<&Self>) {
        // Four thousand million segments are more than any memory holds.
        let place = u32::try_from(self.states.len()).unwrap_or(u32::MAX);
        let key = content.map(|content| self.key(&content));
        let state = match key.filter(|key| !self.places.contains_key(key)) {
            None => State::Ignored,
            Some(key) => {
                self.places.insert(key, place);
                old.and_then(|old| old.state(key)).unwrap_or(State::Unlooked)
            }
        };
        self.states.push(state);
        self.count(place, state);
    }

    fn state(&self, key: u64) -> Option<State> {
        self.states.get(index(*self.places.get(&key)?)).copied()
    }

    fn count(&mut self, place: u32, state: State) {
        match state {
            State::Absent(absence) => {
                self.absent.insert(place, absence);
            }
            State::Here | State::Ignored => {}
            State::Unlooked => self.unlooked += 1,
            State::Unsure => self.unsure += 1,
        }
    }

    fn uncount(&mut self, place: u32, state: State) {
        match state {
            State::Absent(_) => {
                self.absent.remove(&place);
            }
            State::Here | State::Ignored => {}
            State::Unlooked => self.unlooked = self.unlooked.saturating_sub(1),
            State::Unsure => self.unsure = self.unsure.saturating_sub(1),
        }
    }

    fn key(&self, id: &ContentId) -> u64 {
        self.hasher.hash_one(id.canonical())
    }
}

fn index(place: u32) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
