//! Deciding about requests for access, on the streamer's side: [`Approver`].

use crate::{
    look_alike::resembles,
    moment::Moment,
    networks::Account,
    request::AccessRequest,
    rules::{Refusal, Standing, check_request_time},
    stream_chat::StreamChat,
    verified::{KeySet, Verified},
};

/// Checks that an account may still ask.
///
/// # Errors
/// [`Refusal::Banned`], [`Refusal::Approved`] or [`Refusal::Blacklisted`]. Source: `spec/alivedb.md`, section 8.4.
pub fn check_applicant(standing: Standing, blacklisted: bool) -> Result<(), Refusal> {
    match standing {
        Standing::Banned => Err(Refusal::Banned),
        Standing::Approved => Err(Refusal::Approved),
        Standing::Unknown if blacklisted => Err(Refusal::Blacklisted),
        Standing::Unknown => Ok(()),
    }
}

/// Who says yes to a good request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a person decides or nobody does")]
pub enum ApprovalPolicy {
    /// Every good request is approved at once; but one by an account that looks like the streamer waits for a person.
    #[default]
    Automatic,
    /// A person says yes to each.
    ByHand,
}

/// What is to be done about a request whose signature is good.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// Write 1 into the participants list.
    Approve(Account),
    /// Show it to a person.
    AskPerson {
        /// Who asks.
        account: Account,
        /// Whether the name could be taken for the streamer's.
        looks_like_streamer: bool,
    },
}

/// Decides about requests. It holds nothing: standings, keys and the clock are arguments.
///
/// ```
/// # use alive_chat::{Family, Networks, StreamChat, Moment, SignatureText};
/// # use alive_hive::{GraphenePlain, is_account_name, PrivateKey, RecoverableSignature, SignAlgorithm};
/// # let networks = Networks::new([Family::new("hive".parse()?, GraphenePlain, is_account_name)])?;
/// # let chat = StreamChat::new(networks.clone(), "hive/techcoderx/live-1".parse()?)?;
/// use alive_chat::{AccessRequest, ApprovalPolicy, Approver, Decision, KeySet, Standing};
/// use alive_core::backend::SignatureScheme;
/// let (key, now) = (PrivateKey::from_bytes(&[1; 32])?, Moment::EPOCH.after_ms(1e12));
/// let alice = networks.account("hive", "alice")?;
/// let digest = GraphenePlain.digest(chat.request_text(&alice, now).as_bytes());
/// let s = RecoverableSignature::sign(&digest, &key, SignAlgorithm::Dhive);
/// let request =
///     AccessRequest::from_json(&networks, alice.clone(), &format!(r#"{{"s":"{s}","t":{now}}}"#))?;
///
/// let approver = Approver::new(chat, ApprovalPolicy::Automatic);
/// let keys: KeySet = [key.public_key().into()].into_iter().collect();
/// let decision = approver.decide(request, now, now, Standing::Unknown, false, &keys)?;
/// assert_eq!(decision, Decision::Approve(alice));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Approver {
    chat: StreamChat,
    policy: ApprovalPolicy,
}

impl Approver {
    /// Decides for this chat.
    pub fn new(chat: StreamChat, policy: ApprovalPolicy) -> Self {
        Self { chat, policy }
    }

    /// Decides about a request that came with this `state`, by an account with these `keys` on its chain now.
    ///
    /// # Errors
    /// The request does not count, and why.
    pub fn decide(
        &self,
        request: AccessRequest,
        state: Moment,
        now: Moment,
        standing: Standing,
        blacklisted: bool,
        keys: &KeySet,
    ) -> Result<Decision, Refusal> {
        // The cheap questions first: no signature is looked at for one who may not ask.
        check_applicant(standing, blacklisted)?;
        check_request_time(&request, state, now)?;
        let request = self.chat.recover(request)?.allow(keys).ok_or(Refusal::Key)?;
        Ok(self.decision(&request))
    }

    fn decision(&self, request: &Verified<AccessRequest>) -> Decision {
        let account = request.signed().account().clone();
        let looks_like_streamer = resembles(&account, self.chat.streamer());
        if self.policy == ApprovalPolicy::Automatic && !looks_like_streamer {
            return Decision::Approve(account);
        }
        Decision::AskPerson { account, looks_like_streamer }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{STREAM, account, chat, keys_of, ms, request};

    fn decide(policy: ApprovalPolicy, who: &str, standing: Standing) -> Result<Decision, Refusal> {
        let approver = Approver::new(chat(STREAM), policy);
        let (request, now) = (request(who, 5.0), ms(5.0));
        approver.decide(request, now, now, standing, false, &keys_of(who))
    }

    #[test]
    fn good_requests_are_approved_or_shown() {
        for who in ["hive/alice", "blurt/bobby", "avalon/carol"] {
            let approved = decide(ApprovalPolicy::Automatic, who, Standing::Unknown);
            assert_eq!(approved, Ok(Decision::Approve(account(who))));
            let shown = decide(ApprovalPolicy::ByHand, who, Standing::Unknown);
            let account = account(who);
            assert_eq!(shown, Ok(Decision::AskPerson { account, looks_like_streamer: false }));
        }
    }

    #[test]
    fn the_banned_and_the_approved_get_no_further() {
        let banned = decide(ApprovalPolicy::Automatic, "hive/alice", Standing::Banned);
        assert_eq!(banned, Err(Refusal::Banned));
        let approved = decide(ApprovalPolicy::Automatic, "hive/alice", Standing::Approved);
        assert_eq!(approved, Err(Refusal::Approved));
    }

    #[test]
    fn who_looks_like_the_streamer_waits_for_a_person() {
        for who in ["hive/techc0derx", "hive/tech-coderx", "blurt/techcoderx"] {
            let shown = decide(ApprovalPolicy::Automatic, who, Standing::Unknown).unwrap();
            assert_eq!(
                shown,
                Decision::AskPerson { account: account(who), looks_like_streamer: true }
            );
        }
    }

    #[test]
    fn keys_and_stream_are_checked() {
        let approver = Approver::new(chat("hive/techcoderx/other"), ApprovalPolicy::Automatic);
        let now = ms(5.0);
        let decide = |approver: &Approver, keys: &str| {
            let request = request("hive/alice", 5.0);
            approver.decide(request, now, now, Standing::Unknown, false, &keys_of(keys))
        };
        assert!(decide(&approver, "hive/alice").is_err(), "signed for another stream");
        let approver = Approver::new(chat(STREAM), ApprovalPolicy::Automatic);
        assert_eq!(decide(&approver, "hive/bobby"), Err(Refusal::Key));
    }
}
