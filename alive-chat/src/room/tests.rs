use alive_core::backend::Authority;
use proptest::prelude::*;

use super::*;
use crate::{
    Rate, Rule,
    fixtures::{STREAM, account, chat, key, message, ms, signed_by},
};

const T: f64 = 1_000_000.0;

fn authority(of: &str) -> AccountAuthority {
    let posting = Authority { threshold: 1, keys: vec![(key(of).1, 1)], accounts: Vec::new() };
    AccountAuthority { posting, ..AccountAuthority::default() }
}

fn entry(rule: Rule, value: f64, state: f64) -> Entry {
    Entry { author: "streamer".parse().unwrap(), rule, value, state: ms(state) }
}

fn participant(who: &str) -> Rule {
    Rule::Participant(account(who))
}

/// A room in which these accounts take part.
fn room_of(config: RoomConfig, accounts: &[&str]) -> Room {
    let mut room = Room::new(chat(STREAM), "streamer".parse().unwrap(), config);
    for who in accounts {
        assert!(room.handle_entry(entry(participant(who), 1.0, 1.0)));
    }
    room
}

fn room(accounts: &[&str]) -> Room {
    room_of(RoomConfig::default().account_rate(Rate::new(1e6, 1e6)), accounts)
}

/// Works until nothing waits; keys are those of the fixtures. What was shown, and why others were refused.
fn settle(room: &mut Room, now: f64) -> (Vec<String>, Vec<Refusal>) {
    let (mut shown, mut refused) = (Vec::new(), Vec::new());
    loop {
        room.handle_work(10, ms(now));
        let Some(effect) = room.poll_effect() else { return (shown, refused) };
        match effect {
            RoomEffect::AskKeys { account, .. } => {
                room.handle_keys(&account, Some(&authority(&account.to_string())), ms(now));
            }
            RoomEffect::Show(message) => shown.push(message.signed().text().to_owned()),
            RoomEffect::Hide { why, .. } => shown.push(format!("-{why:?}")),
            RoomEffect::Refuse { why, .. } => refused.push(why),
        }
    }
}

fn send(room: &mut Room, message: Message, now: f64) -> Result<(), Refusal> {
    let state = message.time();
    room.handle_message(Peer(1), message, state, Arrival::Live(ms(now)))
}

fn texts(room: &Room) -> Vec<&str> {
    room.messages().map(|message| message.signed().text()).collect()
}

#[test]
fn good_messages_of_every_family_are_shown_in_order() {
    let mut room = room(&["hive/alice", "blurt/bobby", "avalon/carol"]);
    for (who, time) in [("avalon/carol", 3.0), ("hive/alice", 1.0), ("blurt/bobby", 2.0)] {
        send(&mut room, message(who, T + time, who), T).unwrap();
    }
    send(&mut room, message("hive/techcoderx", T + 4.0, "me"), T).unwrap();
    let (shown, refused) = settle(&mut room, T);
    assert_eq!((shown.len(), refused), (4, vec![]));
    assert_eq!(texts(&room), ["hive/alice", "blurt/bobby", "avalon/carol", "me"]);
}

#[test]
fn cheap_refusals_cost_no_signature() {
    let mut room = room(&["hive/alice"]);
    room.handle_blacklist(["alice".parse().unwrap()]);
    let alice = |time: f64| message("hive/alice", T + time, "m");
    assert_eq!(send(&mut room, alice(0.0), T), Err(Refusal::Blacklisted));
    room.handle_blacklist([]);
    assert_eq!(send(&mut room, alice(0.0), T + 30_001.0), Err(Refusal::Clock));
    assert_eq!(send(&mut room, message("hive/bobby", T, "m"), T), Err(Refusal::NotParticipant));
    assert_eq!(send(&mut room, message("blurt/alice", T, "m"), T), Err(Refusal::NotParticipant));
    let long = message("hive/alice", T, &"é".repeat(2001));
    assert_eq!(send(&mut room, long, T), Err(Refusal::Long { len: 2001, max: 2000 }));
    room.handle_entry(entry(participant("hive/alice"), 0.0, 2.0));
    assert_eq!(send(&mut room, alice(0.0), T), Err(Refusal::Banned));
    assert_eq!(room.handle_work(0, ms(T)), 0, "nothing waits");
}

#[test]
fn replays_forgeries_and_other_forms_of_a_signature_show_nothing() {
    let mut room = room(&["hive/alice"]);
    let good = message("hive/alice", T, "hello");
    send(&mut room, good.clone(), T).unwrap();
    assert_eq!(settle(&mut room, T), (vec!["hello".to_owned()], vec![]));
    assert_eq!(send(&mut room, good.clone(), T), Err(Refusal::Duplicate));
    let upper =
        good.to_string().replace(&*good.signature().text, &good.signature().text.to_uppercase());
    let malleated = Message::from_json(room.chat().networks(), &upper).unwrap();
    assert_ne!(malleated, good);
    assert_eq!(send(&mut room, malleated, T), Err(Refusal::Duplicate));
    let redated = good.to_string().replace("\"t\":1000000", "\"t\":1000001");
    let redated = Message::from_json(room.chat().networks(), &redated).unwrap();
    send(&mut room, redated, T).unwrap();
    send(&mut room, signed_by("hive/mallory", "hive/alice", T, "forged"), T).unwrap();
    assert_eq!(settle(&mut room, T), (vec![], vec![Refusal::Key, Refusal::Key]));
    assert_eq!(texts(&room), ["hello"]);
}

#[test]
fn two_copies_on_their_way_are_shown_once() {
    let mut room = room(&["hive/alice"]);
    for peer in [1, 2] {
        let message = message("hive/alice", T, "hello");
        let state = message.time();
        room.handle_message(Peer(peer), message, state, Arrival::Live(ms(T))).unwrap();
    }
    let (shown, refused) = settle(&mut room, T);
    assert_eq!((shown.len(), refused), (1, vec![Refusal::Duplicate]));
}

#[test]
fn a_ban_hides_the_past_and_an_unban_shows_it_again() {
    let mut room = room(&["hive/alice", "hive/bobby"]);
    for (who, time) in [("hive/alice", 1.0), ("hive/bobby", 2.0), ("hive/alice", 3.0)] {
        send(&mut room, message(who, T + time, &format!("{who}{time}")), T).unwrap();
    }
    settle(&mut room, T);
    room.handle_entry(entry(participant("hive/alice"), 0.0, T + 4.0));
    assert_eq!(texts(&room), ["hive/bobby2"]);
    assert_eq!(settle(&mut room, T).0, ["-Banned", "-Banned"]);
    assert_eq!(room.archive(true).count(), 3);
    assert_eq!(room.archive(false).count(), 1);
    room.handle_entry(entry(participant("hive/alice"), 1.0, T + 5.0));
    assert_eq!(texts(&room).len(), 3);
    assert_eq!(settle(&mut room, T).0.len(), 2);
}

#[test]
fn a_late_joiner_holds_what_the_banned_said_before_and_nothing_after() {
    let mut room = room(&["hive/alice"]);
    room.handle_entry(entry(participant("hive/alice"), 0.0, T + 10.0));
    let mut read = |time: f64| {
        let message = message("hive/alice", T + time, &format!("at {time}"));
        let state = message.time();
        room.handle_message(Peer(1), message, state, Arrival::History)
    };
    assert_eq!(read(9.0), Ok(()));
    assert_eq!(read(10.0), Err(Refusal::Banned));
    assert_eq!(send(&mut room, message("hive/alice", T, "live"), T), Err(Refusal::Banned));
    assert_eq!(settle(&mut room, T), (vec![], vec![]), "it is not shown");
    assert_eq!((room.archive(false).count(), room.archive(true).count()), (0, 1));
    room.handle_entry(entry(participant("hive/alice"), 1.0, T + 20.0));
    assert_eq!(settle(&mut room, T), (vec!["at 9".to_owned()], vec![]));
}

#[test]
fn single_messages_are_hidden_even_before_they_come() {
    let mut room = room(&["hive/alice"]);
    let (one, two) = (message("hive/alice", T, "one"), message("hive/alice", T + 1.0, "two"));
    let digest = |message: &Message| chat(STREAM).digest(message).unwrap();
    room.handle_entry(entry(Rule::Message(digest(&two)), 0.0, 1.0));
    send(&mut room, one.clone(), T).unwrap();
    send(&mut room, two, T).unwrap();
    settle(&mut room, T);
    assert_eq!(texts(&room), ["one"]);
    room.handle_entry(entry(Rule::Message(digest(&one)), 0.0, 1.0));
    assert!(texts(&room).is_empty());
    assert_eq!(room.archive(true).count(), 0, "what is hidden by hand is not archived");
}

#[test]
fn slow_mode_holds_from_when_it_was_said() {
    let mut room = room(&["hive/alice"]);
    room.handle_entry(entry(Rule::SlowMode, 10.0, T + 3000.0));
    for time in [0.0, 1000.0, 2000.0, 4000.0, 12_000.0, 13_000.0, 22_000.0] {
        send(&mut room, message("hive/alice", T + time, &time.to_string()), T + time).unwrap();
    }
    settle(&mut room, T + 22_000.0);
    assert_eq!(texts(&room), ["0", "1000", "2000", "12000", "22000"]);
    room.handle_entry(entry(Rule::SlowMode, 0.0, T + 30_000.0));
    assert_eq!(texts(&room).len(), 7);
}

#[test]
fn a_key_that_changes_during_the_stream_is_noticed() {
    let mut room = room(&["hive/alice"]);
    send(&mut room, message("hive/alice", T, "old key"), T).unwrap();
    settle(&mut room, T);
    let later = T + 40_000.0;
    send(&mut room, signed_by("hive/newkey", "hive/alice", later, "new key"), later).unwrap();
    room.handle_work(10, ms(later));
    let asked = RoomEffect::AskKeys { account: account("hive/alice"), again: true };
    assert_eq!(room.poll_effect(), Some(asked));
    room.handle_keys(&account("hive/alice"), Some(&authority("hive/newkey")), ms(later));
    send(&mut room, message("hive/alice", later + 1.0, "old key again"), later).unwrap();
    room.handle_work(10, ms(later));
    assert!(matches!(room.poll_effect(), Some(RoomEffect::Show(_))));
    assert!(matches!(room.poll_effect(), Some(RoomEffect::Refuse { why: Refusal::Key, .. })));
    assert_eq!(texts(&room), ["old key", "new key"], "what was good when it was said stays");
}

#[test]
fn bad_signatures_cannot_make_the_chain_be_asked_without_end() {
    let mut room = room(&["hive/alice"]);
    let mut asked = 0;
    for n in 0..200_u32 {
        let now = T + f64::from(n) * 100.0;
        let forged = signed_by("hive/mallory", "hive/alice", now, "forged");
        send(&mut room, forged, now).unwrap();
        room.handle_work(10, ms(now));
        while let Some(effect) = room.poll_effect() {
            if let RoomEffect::AskKeys { account, .. } = effect {
                asked += 1;
                room.handle_keys(&account, Some(&authority("hive/alice")), ms(now));
            }
        }
    }
    assert_eq!(asked, 1, "within 30 seconds");
}

#[test]
fn a_flood_of_bad_signatures_cannot_hold_up_good_ones() {
    let participants: Vec<String> = (0..50).map(|n| format!("hive/victim{n}")).collect();
    let mut all: Vec<&str> = participants.iter().map(String::as_str).collect();
    all.push("hive/alice");
    let mut room = room(&all);
    for n in 0..3000_u32 {
        let victim = all[n as usize % 50];
        let forged = message("hive/alice", T + f64::from(n), "x").to_string();
        let forged = forged.replace("\"u\":\"alice\"", &format!("\"u\":{:?}", &victim[5..]));
        let forged = Message::from_json(room.chat().networks(), &forged).unwrap();
        let state = forged.time();
        let _ = room.handle_message(Peer(1), forged, state, Arrival::Live(ms(T)));
    }
    let waits = room.handle_work(0, ms(T));
    assert!(waits > 900, "the flood waits: {waits}");
    // One good message through the same relay as the flood, one through another.
    let good = message("hive/alice", T, "good");
    let state = good.time();
    room.handle_message(Peer(2), good, state, Arrival::Live(ms(T))).unwrap();
    room.handle_message(
        Peer(1),
        message("hive/alice", T + 1.0, "same relay"),
        state,
        Arrival::Live(ms(T + 1000.0)),
    )
    .unwrap();
    room.handle_work(110, ms(T));
    while let Some(effect) = room.poll_effect() {
        if let RoomEffect::AskKeys { account, .. } = effect {
            room.handle_keys(&account, Some(&authority(&account.to_string())), ms(T));
        }
    }
    assert_eq!(texts(&room), ["good", "same relay"], "after 110 of {waits} checks");
}

#[test]
fn others_cannot_use_up_the_rate_of_an_account_but_it_can() {
    let config = RoomConfig::default().account_rate(Rate::new(1.0, 2.0));
    let mut room = room_of(config, &["hive/alice"]);
    for n in 0..20 {
        let forged = signed_by("hive/mallory", "hive/alice", T + f64::from(n), "forged");
        send(&mut room, forged, T).unwrap();
    }
    settle(&mut room, T);
    for n in 0..2 {
        send(&mut room, message("hive/alice", T + f64::from(n), "good"), T).unwrap();
        assert_eq!(settle(&mut room, T).0, ["good"]);
    }
    let third = send(&mut room, message("hive/alice", T + 5.0, "too much"), T);
    assert_eq!(third, Err(Refusal::Rate("the account")));
    send(&mut room, message("hive/alice", T + 6.0, "rested"), T + 1000.0).unwrap();
}

#[test]
fn a_peer_that_brings_too_much_is_cut() {
    let config = RoomConfig::default().peer_rate(Rate::new(1.0, 3.0));
    let mut room = room_of(config, &["hive/alice"]);
    let outcomes: Vec<_> =
        (0..5).map(|n| send(&mut room, message("hive/alice", T + f64::from(n), "m"), T)).collect();
    assert_eq!(outcomes[2], Ok(()));
    assert_eq!(outcomes[3], Err(Refusal::Rate("the peer")));
    let history = message("hive/alice", T + 9.0, "m");
    let state = history.time();
    room.handle_message(Peer(1), history, state, Arrival::History).unwrap();
}

#[test]
fn history_is_bounded_and_the_oldest_go() {
    let config = RoomConfig::default().history(3).account_rate(Rate::new(1e6, 1e6));
    let mut room = room_of(config, &["hive/alice"]);
    for n in 0..5 {
        send(&mut room, message("hive/alice", T + f64::from(n), &n.to_string()), T).unwrap();
        settle(&mut room, T);
    }
    assert_eq!(texts(&room), ["2", "3", "4"]);
    assert_eq!(send(&mut room, message("hive/alice", T + 1.0, "1"), T), Err(Refusal::Old));
}

#[test]
fn without_keys_messages_are_given_up_and_may_come_again() {
    let mut room = room(&["hive/alice"]);
    let good = message("hive/alice", T, "hello");
    send(&mut room, good.clone(), T).unwrap();
    room.handle_work(1, ms(T));
    room.handle_keys_unavailable(&account("hive/alice"));
    room.poll_effect();
    assert!(matches!(
        room.poll_effect(),
        Some(RoomEffect::Refuse { why: Refusal::Unavailable, .. })
    ));
    send(&mut room, good, T).unwrap();
    assert_eq!(settle(&mut room, T).0, ["hello"]);
    room.handle_keys(&account("hive/alice"), None, ms(T));
    send(&mut room, message("hive/alice", T + 1.0, "gone"), T).unwrap();
    assert_eq!(settle(&mut room, T).1, [Refusal::NoAccount]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn what_is_shown_depends_on_what_was_said_and_not_on_its_order(
        said in proptest::collection::btree_set((0..2_usize, 0..8_u8), 1..10),
        slow in 0..4_u8,
        seed: u64,
    ) {
        let names = ["hive/alice", "hive/bobby"];
        let messages: Vec<Message> = said
            .iter()
            .map(|(who, at)| message(names[*who], T + f64::from(*at) * 1000.0, "m"))
            .collect();
        let mut shuffled = messages.clone();
        for at in 0..shuffled.len() {
            let other = usize::try_from((seed >> at) % shuffled.len() as u64).unwrap();
            shuffled.swap(at, other);
        }
        let slow = entry(Rule::SlowMode, f64::from(slow), T + 2000.0);
        let (mut one, mut two) = (room(&names), room(&names));
        one.handle_entry(slow.clone());
        for message in messages {
            send(&mut one, message, T).unwrap();
            settle(&mut one, T);
        }
        for message in shuffled {
            send(&mut two, message, T).unwrap();
            settle(&mut two, T);
        }
        two.handle_entry(slow);
        let place = |room: &Room| room.messages().map(|m| *m.digest()).collect::<Vec<_>>();
        prop_assert_eq!(place(&one), place(&two));
    }
}
