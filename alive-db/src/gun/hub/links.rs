//! Peers that come and go.

use crate::{
    gun::{Dam, DropReason, Origin, Query},
    json::Text,
};

use super::{Effect, Hub, LinkId, Now, Side, print, unacked::Resend};

/// A connection to another peer.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) side: Side,
    pub(super) origin: Origin,
    /// Its id, by its own word.
    pub(super) pid: Option<Text>,
    /// What it has asked for.
    pub(super) queries: Vec<Query>,
    /// How far it was sent what was put before it was connected; `None` if all was.
    pub(super) resend: Option<Resend>,
}

impl Hub {
    /// Says how many peers are dialled, connected or not. Puts wait for their acknowledgement if there are any.
    pub fn set_upstreams(&mut self, upstreams: usize) {
        self.upstreams = upstreams;
    }

    /// A connection has been made.
    pub fn handle_connect(&mut self, link: LinkId, side: Side, origin: Origin, now: Now) {
        self.links
            .insert(link, Link { side, origin, pid: None, queries: Vec::new(), resend: None });
        match side {
            Side::Accepted => {
                let text = print::hello(&self.ids.next(), &self.config.pid, None);
                self.effects.push_back(Effect::Send { links: vec![link], text });
            }
            Side::Dialled => {
                self.resend_unacked(link);
                self.ask_again(link, now);
            }
        }
    }

    /// A connection has ended.
    pub fn handle_disconnect(&mut self, link: LinkId, now: Now) {
        let Some(gone) = self.links.remove(&link) else { return };
        for query in &gone.queries {
            self.audiences.remove(query, link);
            self.forget_want(&query.soul);
        }
        self.settle_link(link, now);
    }

    pub(super) fn handle_dam(&mut self, link: LinkId, id: Option<&Text>, dam: Dam) {
        match dam {
            Dam::Hello { pid, re } => {
                if pid.as_ref() == Some(&self.config.pid) {
                    return self.close(link, DropReason::Oneself);
                }
                if re.is_none() {
                    let text = print::hello(&self.ids.next(), &self.config.pid, id);
                    self.effects.push_back(Effect::Send { links: vec![link], text });
                }
                if let Some(pid) = pid {
                    self.meet(link, &pid);
                }
            }
            Dam::Mob if self.is_dialled(link) => self.close(link, DropReason::Overloaded),
            Dam::Problem { err } => {
                let err = err.map(|err| err.print().chars().take(200).collect::<String>());
                tracing::debug!(?link, err, "a peer complains");
            }
            // `opt` asks us to dial an address of its choice.
            Dam::Hi | Dam::Mob | Dam::Opt => {}
        }
    }

    /// Learns who is at the other end. Of two relays that have dialled each other, the one with the lower id closes the
    /// connection that it has accepted; a dialled one is never closed for what a stranger says of himself.
    fn meet(&mut self, link: LinkId, pid: &Text) {
        let Some(known) = self.links.get_mut(&link) else { return };
        known.pid = Some(pid.clone());
        let (side, origin) = (known.side, known.origin);
        let mut others = self
            .links
            .iter()
            .filter(|(other, known)| **other != link && known.pid.as_ref() == Some(pid));
        let close = match side {
            // It has connected anew, before we saw that the old connection is dead.
            Side::Accepted => others
                .clone()
                .find(|(_, other)| other.side == Side::Accepted && other.origin == origin)
                .map(|(other, _)| *other)
                .or_else(|| {
                    let is_dialled = others.any(|(_, other)| other.side == Side::Dialled);
                    (is_dialled && self.config.pid < *pid).then_some(link)
                }),
            Side::Dialled => others
                .find(|(_, other)| match other.side {
                    Side::Accepted => self.config.pid < *pid,
                    Side::Dialled => true,
                })
                .map(|(id, other)| if other.side == Side::Dialled { link } else { *id }),
        };
        if let Some(link) = close {
            self.close(link, DropReason::AlreadyConnected);
        }
    }

    fn close(&mut self, link: LinkId, reason: DropReason) {
        // The shell reports its end like that of any other.
        self.effects.push_back(Effect::Close { link, reason });
    }

    pub(super) fn is_dialled(&self, link: LinkId) -> bool {
        self.links.get(&link).is_some_and(|link| link.side == Side::Dialled)
    }

    /// The links that we have dialled, but for one.
    pub(super) fn dialled(&self, except: Option<LinkId>) -> Vec<LinkId> {
        let dialled = self.links.iter().filter(|(_, link)| link.side == Side::Dialled);
        let mut dialled: Vec<_> =
            dialled.map(|(id, _)| *id).filter(|id| Some(*id) != except).collect();
        dialled.sort_unstable();
        dialled
    }
}
