//! The rules of transactions that are not about playlists: posts, keys, accounts.
//!
//! Source: `spec/avalon.md`, sections 1, 7.3 and 7.4. Types that are not here are refused.

use std::collections::BTreeMap;

use crate::{
    account::{Account, CustomKey, KeyOfOther},
    bandwidth::Growing,
    json_ref::JsonRef,
    json_text::{JsonText, utf16_len},
    keys::PublicKey,
    playlist::{MAX_JSON_LEN, only},
    user_name::is_user_name,
    validate::{ChainState, MASTER},
};

use super::{
    accounts::Record,
    posts::{Post, Vote},
    state::State,
};

/// Most custom keys of an account, and most keys of others.
const MAX_KEYS: usize = 25;
/// Longest name of a custom key.
const MAX_KEY_ID_LEN: usize = 25;
/// Longest tag.
const MAX_TAG_LEN: usize = 25;
/// Longest link of a post.
const MAX_POST_LINK_LEN: usize = 50;

/// The members that the data of a type may have, `None` for types that are not here.
fn members(kind: i64) -> Option<&'static [&'static str]> {
    Some(match kind {
        0 => &["name", "pub"],
        4 => &["link", "pa", "pp", "json", "vt", "tag"],
        6 => &["json"],
        10 => &["id", "pub", "types"],
        11 => &["id"],
        12 => &["pub"],
        20 => &["id", "pub", "types", "weight"],
        21 => &["thresholds"],
        22 => &["weight"],
        23 => &["types"],
        24 => &["name", "pub", "bw"],
        28 => &["link", "json"],
        29 => &["user", "id", "types", "weight"],
        30 => &["user", "id"],
        _ => return None,
    })
}

/// Checks the data of a transaction against the state.
pub(super) fn check(
    state: &State,
    kind: i64,
    sender: &str,
    data: JsonRef<'_>,
) -> Result<(), String> {
    let Some(members) = members(kind) else {
        return Err(format!("forbidden transaction type {kind}"));
    };
    only(data, members).map_err(|refusal| refusal.to_string())?;
    let account = state.account(sender).ok_or("invalid signature")?;
    let data = Data(data);
    match kind {
        0 | 24 => new_account(state, sender, kind, data),
        4 => post(state, sender, data),
        6 => data.json().map(drop),
        10 | 20 => {
            let key = data.custom_key()?;
            let taken = account.keys.iter().any(|known| known.id == key.id);
            refuse(taken, "cannot create key with duplicate id")?;
            refuse(account.keys.len() >= MAX_KEYS, "cannot add more than max keys")
        }
        11 => {
            let id = data.text("id", MAX_KEY_ID_LEN)?;
            let known = account.keys.iter().any(|key| *key.id == id);
            refuse(!known, "invalid tx data.id")
        }
        12 => data.key().map(drop),
        21 => data.thresholds().map(drop),
        22 => data.least_one("weight").map(drop),
        23 => data.types().map(drop),
        28 => {
            let link = data.text("link", MAX_POST_LINK_LEN)?;
            data.json()?;
            let known = state.posts.get(&format!("{sender}/{link}")).is_some();
            refuse(!known, "cannot edit content that does not exist")
        }
        29 => {
            let other = data.key_of_other()?;
            refuse(state.account(&other.user).is_none(), "invalid tx data.user")?;
            let same = |known: &&KeyOfOther| known.user == other.user && known.id == other.id;
            let new = account.others.iter().find(same).is_none();
            refuse(!new, "account auth already exists")?;
            refuse(account.others.len() >= MAX_KEYS, "cannot add more than max auths")
        }
        _ => {
            let (user, id) = (data.name("user")?, data.text("id", MAX_KEY_ID_LEN)?);
            let known = account.others.iter().any(|auth| *auth.user == user && *auth.id == id);
            refuse(!known, "account auth does not exist")
        }
    }
}

/// Applies a transaction that was checked.
pub(super) fn apply(
    state: &mut State,
    block: u64,
    at_ms: i64,
    kind: i64,
    sender: &str,
    data: JsonRef<'_>,
) {
    // What was checked has all that is read here; without it nothing changes.
    let done = match kind {
        0 | 24 => apply_new_account(state, block, at_ms, sender, Data(data)),
        4 | 28 => apply_post(state, block, at_ms, kind, sender, Data(data)),
        _ => apply_to_account(state, block, kind, sender, Data(data)),
    };
    debug_assert!(done.is_ok(), "a transaction was not checked: {done:?}");
}

fn new_account(state: &State, sender: &str, kind: i64, data: Data<'_>) -> Result<(), String> {
    let name = data.name("name")?;
    data.key()?;
    refuse(state.account(&name).is_some(), "invalid tx data.name")?;
    if kind == 24 {
        let given = data.least_one("bw")?;
        let own = state.account(sender).and_then(|account| account.bandwidth_at(state.head_ms));
        #[expect(clippy::cast_precision_loss, reason = "a safe integer")]
        let lacks = own.is_none_or(|own| own.value < given as f64);
        refuse(lacks && sender != MASTER, "invalid tx data.bw")?;
    }
    // Names are sold by the master; here nobody but it makes any without a price.
    refuse(kind == 0 && sender != MASTER, "invalid tx not enough balance")
}

fn apply_new_account(
    state: &mut State,
    block: u64,
    at_ms: i64,
    sender: &str,
    data: Data<'_>,
) -> Result<(), String> {
    let name = data.name("name")?;
    let given = data.least_one("bw").unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "a safe integer")]
    let given = given as f64;
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970")]
    let now = at_ms as f64;
    let mut account = Account::new(&name, &data.key()?);
    account.bandwidth = Some(Growing { value: given, at_ms: now });
    account.votes = Some(Growing { value: 0.0, at_ms: now });
    state.accounts.set(block, name.into(), Record::new(account, at_ms));
    if let Some(mut giver) = state.accounts.get(sender).cloned()
        && sender != MASTER
        && let Some(own) = giver.account.bandwidth
    {
        giver.account.bandwidth = Some(Growing { value: (own.value - given).max(0.0), ..own });
        state.accounts.set(block, sender.into(), giver);
    }
    Ok(())
}

fn post(state: &State, sender: &str, data: Data<'_>) -> Result<(), String> {
    let link = data.text("link", MAX_POST_LINK_LEN)?;
    data.json()?;
    let votes = data.votes()?;
    data.tag()?;
    let parent = data.parent()?;
    if let Some((author, link)) = &parent {
        let known = state.posts.get(&format!("{author}/{link}")).is_some();
        refuse(!known, "invalid tx parent content does not exist")?;
    }
    if let Some(known) = state.posts.get(&format!("{sender}/{link}")) {
        refuse(known.parent != parent, "invalid tx parent author or link cannot be edited")?;
    }
    let own = state.account(sender).and_then(|account| account.votes_at(state.head_ms));
    let own = own.map_or(0.0, |own| own.value);
    refuse(own < votes.abs(), &format!("invalid tx not enough VP, {own} available"))
}

fn apply_post(
    state: &mut State,
    block: u64,
    at_ms: i64,
    kind: i64,
    sender: &str,
    data: Data<'_>,
) -> Result<(), String> {
    let link = data.text("link", MAX_POST_LINK_LEN)?;
    let json = data.json()?;
    let id = format!("{sender}/{link}");
    if let Some(mut known) = state.posts.get(&id).cloned() {
        known.json = json;
        state.posts.set(block, id, known);
    } else {
        let parent = data.parent()?;
        if let Some((author, parent)) = &parent {
            let parent = format!("{author}/{parent}");
            if let Some(mut post) = state.posts.get(&parent).cloned() {
                post.children.push((sender.to_owned(), link.clone()));
                state.posts.set(block, parent, post);
            }
        }
        let (votes, tag) = (data.votes()?, data.tag()?);
        let vote = Vote { user: sender.to_owned(), at_ms, votes, tag };
        let author = sender.to_owned();
        let children = Vec::new();
        let post = Post { author, link, parent, json, children, votes: vec![vote], at_ms };
        state.posts.set(block, id, post);
    }
    if kind == 4
        && let Some(mut record) = state.accounts.get(sender).cloned()
        && let Some(own) = record.account.votes_at(at_ms)
    {
        let value = own.value - data.votes()?.abs();
        record.account.votes = Some(Growing { value, ..own });
        state.accounts.set(block, sender.into(), record);
    }
    Ok(())
}

fn apply_to_account(
    state: &mut State,
    block: u64,
    kind: i64,
    sender: &str,
    data: Data<'_>,
) -> Result<(), String> {
    let mut record = state.accounts.get(sender).cloned().ok_or("no such account")?;
    let account = &mut record.account;
    match kind {
        6 => record.profile = Some(data.json()?),
        10 | 20 => account.keys.push(data.custom_key()?),
        11 => {
            let id = data.text("id", MAX_KEY_ID_LEN)?;
            account.keys.retain(|key| *key.id != id);
        }
        12 => account.main_key = (&data.key()?).into(),
        21 => {
            for (kind, least) in data.thresholds()? {
                match kind {
                    Some(kind) => drop(account.thresholds.insert(kind, least)),
                    None => account.default_threshold = least,
                }
            }
        }
        22 => account.main_weight = data.least_one("weight")?,
        23 => {
            let types = data.types()?;
            account.thresholds.retain(|kind, _| !types.contains(kind));
        }
        29 => account.others.push(data.key_of_other()?),
        30 => {
            let (user, id) = (data.name("user")?, data.text("id", MAX_KEY_ID_LEN)?);
            account.others.retain(|auth| !(*auth.user == user && *auth.id == id));
        }
        _ => return Err(format!("type {kind} is none of an account")),
    }
    state.accounts.set(block, sender.into(), record);
    Ok(())
}

/// The data of a transaction; each reader refuses in the words of the reference node.
#[derive(Clone, Copy)]
struct Data<'a>(JsonRef<'a>);

impl Data<'_> {
    fn text(self, name: &str, max: usize) -> Result<String, String> {
        let text = self.0.member(name).and_then(JsonRef::to_text);
        let text = text.filter(|text| (1..=max).contains(&utf16_len(text)));
        text.map(Into::into).ok_or_else(|| format!("invalid tx data.{name}"))
    }

    fn name(self, name: &str) -> Result<String, String> {
        let user = self.0.member(name).and_then(JsonRef::to_text);
        let user = user.filter(|user| is_user_name(user));
        user.map(Into::into).ok_or_else(|| format!("invalid tx data.{name}"))
    }

    fn key(self) -> Result<PublicKey, String> {
        let key = self.0.member("pub").and_then(|key| key.to_text()?.parse().ok());
        key.ok_or_else(|| "invalid tx data.pub".to_owned())
    }

    fn json(self) -> Result<JsonText, String> {
        let json = self.0.member("json").filter(|json| json.is_object() || json.is_array());
        let json = json.filter(|json| utf16_len(json.as_str()) <= MAX_JSON_LEN);
        let json = json.ok_or("invalid tx data.json")?;
        Ok(JsonText::of_canonical(json.as_str()))
    }

    fn least_one(self, name: &str) -> Result<i64, String> {
        let number = self.0.member(name).and_then(JsonRef::to_safe_integer);
        number.filter(|number| *number >= 1).ok_or_else(|| format!("invalid tx data.{name}"))
    }

    fn types(self) -> Result<Vec<i64>, String> {
        let list = self.0.member("types").into_iter().flat_map(JsonRef::items);
        let types: Option<Vec<_>> = list.map(JsonRef::to_safe_integer).collect();
        let types = types.filter(|types| !types.is_empty());
        types.ok_or_else(|| "invalid tx data.types".to_owned())
    }

    fn custom_key(self) -> Result<CustomKey, String> {
        let weight = match self.0.member("weight") {
            Some(_) => self.least_one("weight")?,
            None => 1,
        };
        Ok(CustomKey {
            id: self.text("id", MAX_KEY_ID_LEN)?.into(),
            key: (&self.key()?).into(),
            types: self.types()?,
            weight,
        })
    }

    fn key_of_other(self) -> Result<KeyOfOther, String> {
        Ok(KeyOfOther {
            user: self.name("user")?.into(),
            id: self.text("id", MAX_KEY_ID_LEN)?.into(),
            types: self.types()?,
            weight: self.least_one("weight")?,
        })
    }

    /// By type, `None` for all others.
    fn thresholds(self) -> Result<BTreeMap<Option<i64>, i64>, String> {
        let refusal = || "invalid tx data.thresholds".to_owned();
        let json = self.0.member("thresholds").filter(|json| json.is_object());
        let mut thresholds = BTreeMap::new();
        for (key, value) in json.ok_or_else(refusal)?.members() {
            let key = key.to_text().ok_or_else(refusal)?;
            let kind = if key == "default" {
                None
            } else {
                let kind: i64 = key.parse().map_err(|_| refusal())?;
                Some(kind).filter(|kind| *kind >= 0).map(Some).ok_or_else(refusal)?
            };
            let least = value.to_safe_integer().filter(|least| *least >= 1);
            thresholds.insert(kind, least.ok_or_else(refusal)?);
        }
        if thresholds.is_empty() { Err(refusal()) } else { Ok(thresholds) }
    }

    fn votes(self) -> Result<f64, String> {
        let votes = self.0.member("vt").filter(|votes| votes.to_safe_integer().is_some());
        let votes = votes.and_then(JsonRef::to_number).filter(|votes| *votes != 0.0);
        votes.ok_or_else(|| "invalid tx data.vt".to_owned())
    }

    fn tag(self) -> Result<String, String> {
        let tag = self.0.member("tag").and_then(JsonRef::to_text);
        let fits = |tag: &str| utf16_len(tag) <= MAX_TAG_LEN && !tag.contains(['.', '$']);
        let tag = tag.filter(|tag| fits(tag));
        tag.map(Into::into).ok_or_else(|| "invalid tx data.tag".to_owned())
    }

    fn parent(self) -> Result<Option<(String, String)>, String> {
        match (self.0.member("pa"), self.0.member("pp")) {
            (None, None) => Ok(None),
            _ => Ok(Some((self.name("pa")?, self.text("pp", MAX_POST_LINK_LEN)?))),
        }
    }
}

fn refuse(when: bool, words: &str) -> Result<(), String> {
    if when { Err(words.to_owned()) } else { Ok(()) }
}
