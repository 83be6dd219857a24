//! Checks of the golden vectors `chat.*` (feature `testing`).
//!
//! Source of their fields: `spec/alivedb.md`, "Vectors". This crate knows no chain, so whoever runs the vectors brings the
//! chains as [`Chains`] and gets [`kinds`].

use alive_core::{
    StreamId,
    backend::PublicKeyBytes,
    conformance::{Kind, judge},
};
use serde_json::{Value, json};

use crate::{
    AccessRequest, Account, Arrival, KeySet, Message, Moment, Networks, Refusal, Standing,
    StreamChat, check_message_time, check_request_time, check_sender,
};

mod archive;

/// The chains that the vectors speak of: hive, blurt and avalon.
pub trait Chains {
    /// How their accounts are named and sign.
    fn networks() -> Networks;
    /// Reads a public key as the network writes it.
    fn read_key(network: &str, text: &str) -> Option<PublicKeyBytes>;
    /// Writes a public key as the network does.
    fn write_key(network: &str, key: &PublicKeyBytes) -> Option<String>;
}

/// The kinds of vectors that this crate decides, with these chains.
pub const fn kinds<C: Chains>() -> [Kind; 4] {
    [
        Kind { name: "chat.archive", check: |input, want| judge(archive::read::<C>(input), want) },
        Kind {
            name: "chat.archive_write",
            check: |input, want| judge(archive::write::<C>(input), want),
        },
        Kind { name: "chat.message", check: |input, want| judge(message::<C>(input), want) },
        Kind { name: "chat.request", check: |input, want| judge(request::<C>(input), want) },
    ]
}

/// Why a case was refused, or could not be read.
type Refused = Box<dyn std::error::Error>;

fn message<C: Chains>(input: &Value) -> Result<Value, Refused> {
    let chat = stream_chat::<C>(input)?;
    let message = Message::from_json(chat.networks(), &member(input, "message")?.to_string())?;
    let arrival = match input.get("now") {
        None => Arrival::History,
        Some(_) => Arrival::Live(moment(input, "now")?),
    };
    check_message_time(&message, moment(input, "state")?, arrival)?;
    let keys = keys::<C>(input, message.account())?;
    let is_banned = banned(input, message.account());
    // Here the accounts with keys are those who take part.
    let standing = match &keys {
        _ if is_banned => Standing::Banned,
        Some(_) => Standing::Approved,
        None => Standing::Unknown,
    };
    check_sender(standing, blacklisted(input, message.account()))?;
    let recovered = chat.recover(message)?;
    let verified = recovered.allow(&keys.unwrap_or_default()).ok_or(Refusal::Key)?;
    let network = verified.signed().account().network().as_str();
    Ok(
        json!({ "pub": C::write_key(network, verified.key()), "digest_hex": hex(verified.digest()) }),
    )
}

fn request<C: Chains>(input: &Value) -> Result<Value, Refused> {
    let chat = stream_chat::<C>(input)?;
    let account = chat.networks().account(text(input, "network")?, text(input, "user")?)?;
    let fields = member(input, "request")?.to_string();
    let request = AccessRequest::from_json(chat.networks(), account.clone(), &fields)?;
    check_request_time(&request, moment(input, "state")?, moment(input, "now")?)?;
    let standing = Standing::from_entry(input.get("current").and_then(Value::as_f64));
    crate::approval::check_applicant(standing, blacklisted(input, &account))?;
    let keys = keys::<C>(input, &account)?.ok_or(Refusal::NoAccount)?;
    let verified = chat.recover(request)?.allow(&keys).ok_or(Refusal::Key)?;
    let key = C::write_key(account.network().as_str(), verified.key());
    Ok(json!({ "result": "approve", "pub": key, "digest_hex": hex(verified.digest()) }))
}

fn stream_chat<C: Chains>(input: &Value) -> Result<StreamChat, Refused> {
    let stream = member(input, "stream")?;
    let id = StreamId {
        network: text(stream, "network")?.parse()?,
        account: text(stream, "streamer")?.parse()?,
        link: text(stream, "link")?.parse()?,
    };
    Ok(StreamChat::new(C::networks(), id)?)
}

/// The keys that the case gives an account.
fn keys<C: Chains>(input: &Value, account: &Account) -> Result<Option<KeySet>, Refused> {
    let network = account.network().as_str();
    let all = input.get("keys").and_then(|keys| keys.get(network));
    let Some(keys) = all.and_then(|all| all.get(account.name().as_str())) else { return Ok(None) };
    let keys = keys.as_array().ok_or("keys are no list")?.iter().map(|key| {
        let key = key.as_str().and_then(|key| C::read_key(network, key));
        key.ok_or_else(|| format!("no key of {network}").into())
    });
    keys.collect::<Result<KeySet, Refused>>().map(Some)
}

fn blacklisted(input: &Value, account: &Account) -> bool {
    let on = input.get("blacklist").is_some_and(|list| holds(list, account));
    on && account.network() == &alive_core::Network::hive()
}

fn banned(input: &Value, account: &Account) -> bool {
    let list = input.get("banned").and_then(|banned| banned.get(account.network().as_str()));
    list.is_some_and(|list| holds(list, account))
}

fn holds(list: &Value, account: &Account) -> bool {
    list.as_array().is_some_and(|list| list.iter().any(|name| name == account.name().as_str()))
}

fn moment(input: &Value, name: &str) -> Result<Moment, Refused> {
    let ms = member(input, name)?.as_f64().and_then(Moment::from_ms);
    ms.ok_or_else(|| format!("{name:?} is no time").into())
}

fn text<'a>(input: &'a Value, name: &str) -> Result<&'a str, Refused> {
    input.get(name).and_then(Value::as_str).ok_or_else(|| format!("no text {name:?}").into())
}

fn member<'a>(input: &'a Value, name: &str) -> Result<&'a Value, Refused> {
    input.get(name).ok_or_else(|| format!("no member {name:?}").into())
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}
