//! Whose signatures a transaction needs: against a slow model, against hived's own cases, and at its limits.

#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};

use alive_core::Timestamp;
use alive_hive::{
    Authority, AuthorityError, AuthorityRule, CustomJson, HiveNetwork, MAX_ACCOUNTS, MAX_DEPTH,
    MAX_MEMBERS, PrivateKey, PublicKey, RequiredAuthorities, Role, SignAlgorithm, Tapos,
    Transaction,
    devnet::{DevAccount, Devnet, DevnetConfig, TransactionError},
};
use proptest::prelude::*;

const LEVELS: [Role; 3] = [Role::Posting, Role::Active, Role::Owner];

/// Authorities of all accounts by name and level.
type Chain = BTreeMap<(String, Role), Authority>;

fn keys(count: usize) -> Vec<PublicKey> {
    let key = |number: usize| {
        let mut bytes = [1; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        PrivateKey::from_bytes(&bytes).unwrap().public_key()
    };
    (0..count).map(key).collect()
}

fn authority(threshold: u32, accounts: &[(&str, u16)], keys: &[(PublicKey, u16)]) -> Authority {
    Authority {
        weight_threshold: threshold,
        account_auths: accounts.iter().map(|(name, weight)| ((*name).into(), *weight)).collect(),
        key_auths: keys.iter().copied().collect(),
    }
}

fn needed(posting: &[&str], active: &[&str], owner: &[&str]) -> RequiredAuthorities {
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    RequiredAuthorities { active: set(active), owner: set(owner), posting: set(posting) }
}

fn check(
    needed: &RequiredAuthorities,
    signed: &[PublicKey],
    rule: AuthorityRule,
    chain: &Chain,
) -> Result<(), AuthorityError> {
    let signed = signed.iter().copied().collect();
    needed.check(&signed, rule, |name, role| chain.get(&(name.to_owned(), role)))
}

fn missing(role: Role, account: &str) -> Result<(), AuthorityError> {
    Err(AuthorityError::Missing { role, account: account.into() })
}

/// hived's algorithm again, slowly: nothing is changed in place, every step gives the next state.
mod model {
    use super::*;

    #[derive(Clone)]
    pub(super) struct State {
        pub(super) approved: Vec<String>,
        pub(super) used: Vec<PublicKey>,
        pub(super) looked_up: usize,
    }

    pub(super) fn follow(
        chain: &Chain,
        signed: &[PublicKey],
        authority: &Authority,
        below: Role,
        depth: usize,
        state: State,
    ) -> (bool, State) {
        enum Member<'a> {
            Key(&'a PublicKey),
            Account(&'a String),
        }
        let by_keys = authority.key_auths.iter().map(|(key, w)| (Member::Key(key), *w));
        let by_accounts =
            authority.account_auths.iter().map(|(name, w)| (Member::Account(name), *w));
        let (mut weight, mut members, mut state) = (0_u64, 0, state);
        for (member, member_weight) in by_keys.chain(by_accounts) {
            let agrees = match member {
                Member::Key(key) => {
                    let signs = signed.contains(key);
                    if signs {
                        state.used = [state.used, vec![*key]].concat();
                    }
                    signs
                }
                Member::Account(name) if state.approved.contains(name) => true,
                Member::Account(_) if depth == MAX_DEPTH => continue,
                Member::Account(_) if state.looked_up >= MAX_ACCOUNTS => return (false, state),
                Member::Account(name) => {
                    state.looked_up += 1;
                    let theirs = &chain[&(name.clone(), below)];
                    let (met, next) = follow(chain, signed, theirs, below, depth + 1, state);
                    state = next;
                    if met {
                        state.approved = [state.approved, vec![name.clone()]].concat();
                    }
                    met
                }
            };
            if agrees {
                weight += u64::from(member_weight);
                if weight >= authority.weight_threshold.into() {
                    return (true, state);
                }
            }
            members += 1;
            if members >= MAX_MEMBERS {
                return (false, state);
            }
        }
        (weight >= authority.weight_threshold.into(), state)
    }

    pub(super) fn check(
        needed: &RequiredAuthorities,
        signed: &[PublicKey],
        rule: AuthorityRule,
        chain: &Chain,
    ) -> Result<(), AuthorityError> {
        let strict = rule == AuthorityRule::Strict;
        let others = !needed.active.is_empty() || !needed.owner.is_empty();
        if !strict && !needed.posting.is_empty() && others {
            return Err(AuthorityError::MixedWithPosting);
        }
        let fresh = |state: State| State { approved: vec!["temp".into()], ..state };
        let mut state = fresh(State { approved: Vec::new(), used: Vec::new(), looked_up: 0 });
        for (names, role, below) in [
            (&needed.posting, Role::Posting, Role::Posting),
            (&needed.active, Role::Active, Role::Active),
            (&needed.owner, Role::Owner, Role::Active),
        ] {
            if role == Role::Active {
                state = fresh(state);
            }
            for name in names {
                let by_name = role != Role::Owner;
                if by_name && state.approved.contains(name) {
                    continue;
                }
                let above = LEVELS.into_iter().skip_while(|level| *level != role);
                let mut met = false;
                for (step, level) in above.take(if strict { 1 } else { 3 }).enumerate() {
                    let first = step == 0 && by_name;
                    state.looked_up = match (strict, first) {
                        (true, first) => state.looked_up + usize::from(first),
                        (false, first) => usize::from(first),
                    };
                    let authority = &chain[&(name.clone(), level)];
                    (met, state) = follow(chain, signed, authority, below, 0, state);
                    if met {
                        break;
                    }
                }
                if !met {
                    return missing(role, name);
                }
            }
        }
        let unneeded = signed.iter().any(|key| !state.used.contains(key));
        if !strict && unneeded { Err(AuthorityError::UnneededSignature) } else { Ok(()) }
    }
}

const NAMES: [&str; 6] = ["alice", "bob", "carol", "dave", "temp", "zoe"];

fn any_authority() -> impl Strategy<Value = Authority> {
    let accounts = prop::collection::btree_map(prop::sample::select(&NAMES[..]), 0_u16..4, 0..4);
    let keys = prop::collection::btree_map(prop::sample::select(keys(8)), 0_u16..4, 0..4);
    (0_u32..6, accounts, keys).prop_map(|(threshold, accounts, keys)| Authority {
        weight_threshold: threshold,
        account_auths: accounts.into_iter().map(|(name, w)| (name.to_owned(), w)).collect(),
        key_auths: keys,
    })
}

fn any_chain() -> impl Strategy<Value = Chain> {
    prop::collection::vec(any_authority(), NAMES.len() * LEVELS.len()).prop_map(|authorities| {
        let places = NAMES.iter().flat_map(|name| LEVELS.map(|level| ((*name).to_owned(), level)));
        places.zip(authorities).collect()
    })
}

fn any_needed() -> impl Strategy<Value = RequiredAuthorities> {
    let names = || {
        let names = prop::sample::select(&NAMES[..]).prop_map(str::to_owned);
        prop::collection::btree_set(names, 0..3)
    };
    (names(), names(), names()).prop_map(|(active, owner, posting)| RequiredAuthorities {
        active,
        owner,
        posting,
    })
}

fn any_signed() -> impl Strategy<Value = BTreeSet<PublicKey>> {
    prop::collection::btree_set(prop::sample::select(keys(8)), 0..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn both_rules_are_those_of_the_slow_model(
        chain in any_chain(),
        needed in any_needed(),
        signed in any_signed(),
    ) {
        let signed = Vec::from_iter(signed);
        for rule in [AuthorityRule::Escalating, AuthorityRule::Strict] {
            let want = model::check(&needed, &signed, rule, &chain);
            prop_assert_eq!(check(&needed, &signed, rule, &chain), want, "{:?}", rule);
        }
    }

    #[test]
    fn posting_keys_that_do_under_the_strict_rule_do_under_the_old_one_but_for_unneeded_ones(
        chain in any_chain(),
        signed in any_signed(),
    ) {
        let (needed, signed) = (needed(&["alice"], &[], &[]), Vec::from_iter(signed));
        if check(&needed, &signed, AuthorityRule::Strict, &chain).is_ok() {
            let old = check(&needed, &signed, AuthorityRule::Escalating, &chain);
            prop_assert!(matches!(old, Ok(()) | Err(AuthorityError::UnneededSignature)), "{old:?}");
        }
    }
}

/// Two accounts with a key for each level: alice posting, active, owner, then bob's.
fn alice_and_bob() -> (Chain, Vec<PublicKey>) {
    let keys = keys(6);
    let places = ["alice", "bob"].into_iter().flat_map(|name| LEVELS.map(|level| (name, level)));
    let own = |((name, level), key): ((&str, Role), &PublicKey)| {
        ((name.to_owned(), level), Authority::single(*key))
    };
    (places.zip(&keys).map(own).collect(), keys)
}

#[test]
fn before_the_hard_fork_a_higher_key_does_and_after_it_only_the_right_one() {
    let (chain, keys) = alice_and_bob();
    let cases =
        [needed(&["alice"], &[], &[]), needed(&[], &["alice"], &[]), needed(&[], &[], &["alice"])];
    for (own, needed) in cases.iter().enumerate() {
        for (key, signer) in keys.iter().enumerate() {
            let met = |rule| check(needed, &[*signer], rule, &chain).is_ok();
            assert_eq!(met(AuthorityRule::Escalating), (own..3).contains(&key), "{own} {key}");
            assert_eq!(met(AuthorityRule::Strict), own == key, "{own} {key}");
        }
    }
}

/// The cases of hived's own tests of its 28th hard fork: a posting and an active operation together, of one account and of
/// two, and needless signatures.
#[test]
fn a_mix_of_operations_is_refused_by_the_old_rule_and_takes_both_keys_by_the_new() {
    let (chain, keys) = alice_and_bob();
    let [posting, active, _, bob_posting, bob_active, _] = keys[..] else { unreachable!() };
    let mix = needed(&["alice"], &["alice"], &[]);
    let by = |signed: &[PublicKey], rule| check(&mix, signed, rule, &chain);
    for signed in [&[posting][..], &[active], &[posting, active]] {
        let old = by(signed, AuthorityRule::Escalating);
        assert_eq!(old, Err(AuthorityError::MixedWithPosting));
    }
    let new = |signed: &[PublicKey]| by(signed, AuthorityRule::Strict);
    assert_eq!(new(&[active]), missing(Role::Posting, "alice"));
    assert_eq!(new(&[posting]), missing(Role::Active, "alice"));
    assert_eq!(new(&[posting, active]), Ok(()));
    assert_eq!(new(&[posting, bob_active]), missing(Role::Active, "alice"));

    let transfer = needed(&[], &["alice"], &[]);
    let two = [active, bob_active];
    let old = check(&transfer, &two, AuthorityRule::Escalating, &chain);
    assert_eq!(old, Err(AuthorityError::UnneededSignature));
    assert_eq!(check(&transfer, &two, AuthorityRule::Strict, &chain), Ok(()));

    let both = needed(&["alice", "bob"], &[], &[]);
    for rule in [AuthorityRule::Escalating, AuthorityRule::Strict] {
        assert_eq!(check(&both, &[posting, bob_posting], rule, &chain), Ok(()));
        assert_eq!(check(&both, &[posting], rule, &chain), missing(Role::Posting, "bob"));
    }
}

#[test]
fn a_key_of_the_right_authority_counts_as_needed_even_if_another_one_decided() {
    let (mut chain, keys) = alice_and_bob();
    // Posting takes two keys; one of them and the active key: the active authority decides, no signature is too much.
    let two = authority(2, &[], &[(keys[0], 1), (keys[3], 1)]);
    chain.insert(("alice".into(), Role::Posting), two);
    let needed = needed(&["alice"], &[], &[]);
    let signed = [keys[0], keys[1]];
    assert_eq!(check(&needed, &signed, AuthorityRule::Escalating, &chain), Ok(()));
    assert_eq!(
        check(&needed, &signed, AuthorityRule::Strict, &chain),
        missing(Role::Posting, "alice")
    );
}

#[test]
fn an_account_within_an_owner_authority_agrees_by_its_active_key() {
    let (mut chain, keys) = alice_and_bob();
    chain.insert(("alice".into(), Role::Owner), authority(1, &[("bob", 1)], &[]));
    let needed = needed(&[], &[], &["alice"]);
    for rule in [AuthorityRule::Escalating, AuthorityRule::Strict] {
        assert_eq!(check(&needed, &[keys[4]], rule, &chain), Ok(()));
        assert_eq!(check(&needed, &[keys[5]], rule, &chain), missing(Role::Owner, "alice"));
    }
}

#[test]
fn anybody_may_act_for_temp_nobody_for_an_empty_authority_with_a_threshold() {
    let empty = |threshold| authority(threshold, &[], &[]);
    let mut chain = Chain::new();
    for role in LEVELS {
        chain.insert(("temp".into(), role), empty(1));
        chain.insert(("open".into(), role), empty(0));
        chain.insert(("null".into(), role), empty(1));
    }
    for rule in [AuthorityRule::Escalating, AuthorityRule::Strict] {
        for (name, met) in [("temp", true), ("open", true), ("null", false)] {
            let needed = needed(&[name], &[], &[]);
            assert_eq!(check(&needed, &[], rule, &chain).is_ok(), met, "{name}");
        }
        let unknown = check(&needed(&[], &["nobody"], &[]), &[], rule, &chain);
        assert_eq!(unknown, Err(AuthorityError::UnknownAccount("nobody".into())));
    }
}

#[test]
fn the_fortieth_member_can_decide_and_the_next_one_cannot() {
    let mut all = keys(MAX_MEMBERS + 1);
    all.sort_unstable();
    let every = all.iter().map(|key| (*key, 1)).collect::<Vec<_>>();
    let needed = needed(&["alice"], &[], &[]);
    let met = |threshold, signer| {
        let alice = authority(threshold, &[], &every);
        let chain = Chain::from([(("alice".into(), Role::Posting), alice)]);
        check(&needed, &[signer], AuthorityRule::Strict, &chain).is_ok()
    };
    assert!(met(1, all[MAX_MEMBERS - 1]));
    assert!(!met(1, all[MAX_MEMBERS]));
    // Even one that asks for nothing is met only when its members can all be looked at.
    let none = |members: usize| {
        let alice = authority(0, &[], &every[..members]);
        let chain = Chain::from([(("alice".into(), Role::Posting), alice)]);
        check(&needed, &[], AuthorityRule::Strict, &chain).is_ok()
    };
    assert!(none(MAX_MEMBERS - 1));
    assert!(!none(MAX_MEMBERS));
}

/// `alice` names so many groups of which each names 30 accounts; only the last account of the last group signs.
fn wide(groups: usize, key: PublicKey) -> Chain {
    let name = |group: usize, member: usize| format!("g{group:02}m{member:02}");
    let group = |number: usize| format!("group{number:02}");
    let mut chain = Chain::new();
    let names = |names: Vec<String>| Authority {
        weight_threshold: 1,
        account_auths: names.into_iter().map(|name| (name, 1)).collect(),
        key_auths: BTreeMap::new(),
    };
    for one in 0..groups {
        for member in 0..30 {
            let last = (one, member) == (groups - 1, 29);
            let keys = if last { vec![(key, 1)] } else { Vec::new() };
            chain.insert((name(one, member), Role::Posting), authority(1, &[], &keys));
        }
        let members = (0..30).map(|member| name(one, member)).collect();
        chain.insert((group(one), Role::Posting), names(members));
    }
    let all = names((0..groups).map(group).collect());
    chain.insert(("alice".into(), Role::Posting), all);
    chain
}

#[test]
fn only_so_many_accounts_are_looked_up_for_a_transaction() {
    let key = keys(1)[0];
    let met = |groups, needed: &RequiredAuthorities| {
        check(needed, &[key], AuthorityRule::Strict, &wide(groups, key)).is_ok()
    };
    let alice = needed(&["alice"], &[], &[]);
    // alice, four groups and 120 accounts are 125, the last of which is looked up when the count stands at 124.
    assert!(met(4, &alice));
    assert!(!met(5, &alice));
    // The strict rule counts over all accounts of a transaction, the old one for each anew.
    let mut chain = wide(4, key);
    chain.insert(("aaron".into(), Role::Posting), Authority::single(key));
    let two = needed(&["aaron", "alice"], &[], &[]);
    let by = |rule| check(&two, &[key], rule, &chain);
    assert_eq!(by(AuthorityRule::Strict), missing(Role::Posting, "alice"));
    for level in [Role::Active, Role::Owner] {
        for name in ["aaron", "alice"] {
            chain.insert((name.into(), level), authority(1, &[], &[]));
        }
    }
    let old = check(&two, &[key], AuthorityRule::Escalating, &chain);
    assert_eq!(old, Ok(()));
}

#[test]
fn at_its_limits_the_rule_is_still_that_of_the_model() {
    let key = keys(1)[0];
    for groups in 1..8 {
        let chain = wide(groups, key);
        let needed = needed(&["alice", "g00m01", "group00"], &[], &[]);
        let want = model::check(&needed, &[key], AuthorityRule::Strict, &chain);
        assert_eq!(check(&needed, &[key], AuthorityRule::Strict, &chain), want, "{groups}");
    }
}

#[test]
fn a_development_chain_judges_by_the_rule_of_its_network() {
    let account = DevAccount::from_password("alice", "password").unwrap();
    let start: Timestamp = "2026-11-21T00:00:00".parse().unwrap();
    let push = |network: HiveNetwork, roles: &[Role]| {
        let mut config = DevnetConfig::default().account(account.clone()).by_hand();
        config.network = network;
        let mut chain = Devnet::open(config.clone(), start).unwrap();
        let op = CustomJson::posting("alice", "alive-test", "{}");
        let expiration = chain.head_time().after_secs(60);
        let transaction = Transaction::new(Tapos::of(&chain.head()), expiration, vec![op.into()]);
        let key = |role: &Role| PrivateKey::from_password("alice", *role, "password").unwrap();
        let keys = roles.iter().map(key).collect::<Vec<_>>();
        let keys = keys.iter().collect::<Vec<_>>();
        let chain_id = &config.network.chain_id;
        chain.push_transaction(transaction.sign(&keys, chain_id, SignAlgorithm::Dhive)).map(drop)
    };
    let missing =
        TransactionError::MissingAuthority { role: Role::Posting, account: "alice".into() };
    assert_eq!(push(HiveNetwork::hive(), &[Role::Active]), Err(missing));
    assert_eq!(push(HiveNetwork::hive(), &[Role::Posting, Role::Active]), Ok(()));
    assert_eq!(push(HiveNetwork::blurt(), &[Role::Active]), Ok(()));
    let unneeded = push(HiveNetwork::blurt(), &[Role::Posting, Role::Active]);
    assert_eq!(unneeded, Err(TransactionError::UnneededSignature));
}
