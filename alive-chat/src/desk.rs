//! The streamer's side of requests, as a state machine: [`RequestDesk`].

use std::collections::{BTreeMap, HashMap, VecDeque};

use alive_core::backend::AccountAuthority;

use crate::{
    approval::{ApprovalPolicy, Approver, Decision, check_applicant},
    moment::Moment,
    networks::Account,
    request::AccessRequest,
    rules::{Refusal, Standing, check_request_time},
    stream_chat::StreamChat,
    verified::KeySet,
};

/// What a [`RequestDesk`] wants done or tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeskEffect {
    /// Write 1 for this account into the participants list.
    Approve(Account),
    /// Ask the chain for the keys of this account and answer with [`RequestDesk::handle_keys`].
    AskKeys(Account),
    /// A person has to say yes to this account, by writing 1 for it.
    AskPerson {
        /// Who asks.
        account: Account,
        /// Whether the name could be taken for the streamer's.
        looks_like_streamer: bool,
    },
}

/// Requests on their way from the wire to a decision. It does no I/O and has no clock, and all its memory is bounded.
///
/// ```
/// # use alive_chat::{Family, Networks, StreamChat, Moment};
/// # use alive_hive::{GraphenePlain, is_account_name};
/// # let networks = Networks::new([Family::new("hive".parse()?, GraphenePlain, is_account_name)])?;
/// # let chat = StreamChat::new(networks.clone(), "hive/techcoderx/live-1".parse()?)?;
/// use alive_chat::{AccessRequest, ApprovalPolicy, DeskEffect, RequestDesk, Standing};
/// let mut desk = RequestDesk::new(chat, ApprovalPolicy::Automatic);
/// let (alice, now) = (networks.account("hive", "alice")?, Moment::EPOCH.after_ms(5.0));
/// let request = AccessRequest::from_json(&networks, alice.clone(), r#"{"s":"1f","t":5}"#)?;
/// desk.handle_request(request, now, now, Standing::Unknown, false)?;
/// assert_eq!(desk.poll_effect(), Some(DeskEffect::AskKeys(alice)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RequestDesk {
    approver: Approver,
    /// The newest request of each account whose keys were asked for.
    waiting: HashMap<Account, (AccessRequest, Moment)>,
    for_person: BTreeMap<Account, bool>,
    effects: VecDeque<DeskEffect>,
}

impl RequestDesk {
    /// Most accounts whose keys are being asked for. Our own limit.
    pub const MAX_WAITING: usize = 1024;
    /// Most accounts that wait for a person. Our own limit.
    pub const MAX_FOR_PERSON: usize = 10_000;

    /// Decides for this chat.
    pub fn new(chat: StreamChat, policy: ApprovalPolicy) -> Self {
        Self {
            approver: Approver::new(chat, policy),
            waiting: HashMap::new(),
            for_person: BTreeMap::new(),
            effects: VecDeque::new(),
        }
    }

    /// Takes a request that came with this `state`, by an account of this standing.
    ///
    /// # Errors
    /// It does not count, and why; [`Refusal::Full`] when too many wait.
    pub fn handle_request(
        &mut self,
        request: AccessRequest,
        state: Moment,
        now: Moment,
        standing: Standing,
        blacklisted: bool,
    ) -> Result<(), Refusal> {
        check_applicant(standing, blacklisted)?;
        check_request_time(&request, state, now)?;
        let account = request.account().clone();
        if self.for_person.contains_key(&account) {
            return Err(Refusal::Duplicate);
        }
        if let Some(held) = self.waiting.get_mut(&account) {
            // The keys are on their way; the newest signature will be compared.
            *held = (request, state);
            return Ok(());
        }
        if self.waiting.len() >= Self::MAX_WAITING {
            return Err(Refusal::Full);
        }
        self.waiting.insert(account.clone(), (request, state));
        self.effects.push_back(DeskEffect::AskKeys(account));
        Ok(())
    }

    /// Takes the answer to [`DeskEffect::AskKeys`]; `None` when the chain has no such account. Standing and blacklist are
    /// those of now.
    ///
    /// # Errors
    /// The request that waited does not count, and why.
    pub fn handle_keys(
        &mut self,
        account: &Account,
        authority: Option<&AccountAuthority>,
        now: Moment,
        standing: Standing,
        blacklisted: bool,
    ) -> Result<(), Refusal> {
        let Some((request, state)) = self.waiting.remove(account) else { return Ok(()) };
        let keys = KeySet::from(authority.ok_or(Refusal::NoAccount)?);
        match self.approver.decide(request, state, now, standing, blacklisted, &keys)? {
            Decision::Approve(account) => self.effects.push_back(DeskEffect::Approve(account)),
            Decision::AskPerson { account, looks_like_streamer } => {
                if self.for_person.len() >= Self::MAX_FOR_PERSON {
                    return Err(Refusal::Full);
                }
                self.for_person.insert(account.clone(), looks_like_streamer);
                self.effects.push_back(DeskEffect::AskPerson { account, looks_like_streamer });
            }
        }
        Ok(())
    }

    /// Says that the keys of an account cannot be had now: its request is given up, and may come again.
    pub fn handle_keys_unavailable(&mut self, account: &Account) {
        self.waiting.remove(account);
    }

    /// Says that the streamer or a moderator has decided about an account.
    pub fn handle_decided(&mut self, account: &Account) {
        self.for_person.remove(account);
    }

    /// Who waits for a person, by name, and whether the name could be taken for the streamer's.
    pub fn for_person(&self) -> impl Iterator<Item = (&Account, bool)> {
        self.for_person.iter().map(|(account, looks_like)| (account, *looks_like))
    }

    /// The next effect.
    pub fn poll_effect(&mut self) -> Option<DeskEffect> {
        self.effects.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use alive_core::backend::Authority;

    use super::*;
    use crate::fixtures::{STREAM, account, chat, key, ms, request};

    fn keys(who: &str) -> AccountAuthority {
        let posting = Authority { threshold: 1, keys: vec![(key(who).1, 1)], accounts: Vec::new() };
        AccountAuthority { posting, ..AccountAuthority::default() }
    }

    fn desk(policy: ApprovalPolicy) -> RequestDesk {
        RequestDesk::new(chat(STREAM), policy)
    }

    fn ask(desk: &mut RequestDesk, who: &str, time: f64) -> Result<(), Refusal> {
        desk.handle_request(request(who, time), ms(time), ms(5.0), Standing::Unknown, false)
    }

    fn answer(desk: &mut RequestDesk, who: &str, of: &str) -> Result<(), Refusal> {
        let (account, keys) = (account(who), keys(of));
        desk.handle_keys(&account, Some(&keys), ms(6.0), Standing::Unknown, false)
    }

    #[test]
    fn a_good_request_is_approved_once_its_keys_are_there() {
        let mut desk = desk(ApprovalPolicy::Automatic);
        ask(&mut desk, "hive/alice", 5.0).unwrap();
        ask(&mut desk, "hive/alice", 5.5).unwrap();
        assert_eq!(desk.poll_effect(), Some(DeskEffect::AskKeys(account("hive/alice"))));
        assert_eq!(desk.poll_effect(), None, "asked once");
        answer(&mut desk, "hive/alice", "hive/alice").unwrap();
        assert_eq!(desk.poll_effect(), Some(DeskEffect::Approve(account("hive/alice"))));
        answer(&mut desk, "hive/alice", "hive/alice").unwrap();
        assert_eq!(desk.poll_effect(), None, "nothing waits any more");
    }

    #[test]
    fn forged_late_and_unwanted_requests_go_no_further() {
        let mut desk = desk(ApprovalPolicy::Automatic);
        ask(&mut desk, "hive/alice", 5.0).unwrap();
        assert_eq!(answer(&mut desk, "hive/alice", "hive/bobby"), Err(Refusal::Key));
        assert_eq!(ask(&mut desk, "hive/alice", 20_000.0), Err(Refusal::Clock));
        let mut refused = |standing, blacklisted| {
            let request = request("hive/alice", 5.0);
            desk.handle_request(request, ms(5.0), ms(5.0), standing, blacklisted).unwrap_err()
        };
        assert_eq!(refused(Standing::Banned, false), Refusal::Banned);
        assert_eq!(refused(Standing::Approved, false), Refusal::Approved);
        assert_eq!(refused(Standing::Unknown, true), Refusal::Blacklisted);
        ask(&mut desk, "hive/alice", 5.0).unwrap();
        let gone =
            desk.handle_keys(&account("hive/alice"), None, ms(5.0), Standing::Unknown, false);
        assert_eq!(gone, Err(Refusal::NoAccount));
        ask(&mut desk, "hive/alice", 5.0).unwrap();
        let keys = keys("hive/alice");
        let banned = |desk: &mut RequestDesk| {
            desk.handle_keys(&account("hive/alice"), Some(&keys), ms(5.0), Standing::Banned, false)
        };
        assert_eq!(banned(&mut desk), Err(Refusal::Banned), "banned while the keys were asked for");
    }

    #[test]
    fn a_person_is_asked_once_and_until_it_is_decided() {
        let mut desk = desk(ApprovalPolicy::ByHand);
        ask(&mut desk, "hive/alice", 5.0).unwrap();
        answer(&mut desk, "hive/alice", "hive/alice").unwrap();
        let shown =
            DeskEffect::AskPerson { account: account("hive/alice"), looks_like_streamer: false };
        assert_eq!([desk.poll_effect(), desk.poll_effect()][1], Some(shown));
        assert_eq!(ask(&mut desk, "hive/alice", 6.0), Err(Refusal::Duplicate));
        assert_eq!(desk.for_person().count(), 1);
        desk.handle_decided(&account("hive/alice"));
        assert_eq!(desk.for_person().count(), 0);
    }

    #[test]
    fn a_flood_of_requests_is_bounded_and_keys_that_fail_free_their_place() {
        let mut desk = desk(ApprovalPolicy::Automatic);
        for n in 0..RequestDesk::MAX_WAITING {
            ask(&mut desk, &format!("hive/user{n}"), 5.0).unwrap();
        }
        assert_eq!(ask(&mut desk, "hive/alice", 5.0), Err(Refusal::Full));
        desk.handle_keys_unavailable(&account("hive/user7"));
        assert_eq!(ask(&mut desk, "hive/alice", 5.0), Ok(()));
    }
}
