//! Extensions of `comment_options`: [`CommentExtension`].

use alive_core::Excerpt;
use serde_json::{Value, json};

use crate::{
    json_form::{JsonError, JsonForm, JsonReason, JsonStyle, Object, items, pair, text},
    network::KeyPrefix,
    serialize::{DecodeError, DecodeReason, Field, Packer, Unpacker},
};

/// The type of beneficiaries in the HF26 form; the legacy form and the pack say 0.
const BENEFICIARIES: &str = "comment_payout_beneficiaries";

/// An extension of `comment_options`.
///
/// ```
/// use alive_hive::{Beneficiary, CommentExtension, CommentOptions};
/// let options = CommentOptions {
///     author: "alice".into(),
///     permlink: "stream1".into(),
///     max_accepted_payout: "1000000.000 HBD".parse()?,
///     percent_hbd: 10_000,
///     allow_votes: true,
///     allow_curation_rewards: true,
///     extensions: vec![CommentExtension::Beneficiaries(vec![Beneficiary {
///         account: "alive.fund".into(),
///         weight: 300,
///     }])],
/// };
/// assert_eq!(alive_hive::Operation::from(options).id(), 19);
/// # Ok::<(), alive_hive::AssetError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommentExtension {
    /// Who shares the reward of a post, in the order that is packed.
    Beneficiaries(Vec<Beneficiary>),
}

/// One who shares the reward of a post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beneficiary {
    /// Who.
    pub account: String,
    /// Share in hundredths of a percent.
    pub weight: u16,
}

/// Reads a list of them; clients may leave it out.
impl Field for Vec<CommentExtension> {
    fn read_json(value: &Value, prefix: &KeyPrefix) -> Result<Self, JsonError> {
        items(value, |item| read_extension(item, prefix))
    }

    fn to_json(&self, style: JsonStyle) -> Value {
        self.iter().map(|extension| write_extension(extension, style)).collect()
    }

    fn pack(&self, to: &mut Packer) {
        to.count(self.len());
        for CommentExtension::Beneficiaries(shares) in self {
            to.varint(0);
            to.count(shares.len());
            for share in shares {
                to.text(&share.account);
                share.weight.pack(to);
            }
        }
    }

    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, DecodeError> {
        let mut extensions = Self::new();
        for _ in 0..from.count()? {
            match from.varint()? {
                0 => extensions.push(CommentExtension::Beneficiaries(unpack_shares(from)?)),
                other => return from.fail(DecodeReason::Unknown(other)),
            }
        }
        Ok(extensions)
    }

    fn read_member(object: Object<'_>, name: &str, prefix: &KeyPrefix) -> Result<Self, JsonError> {
        let read = object.read_optional(name, |value| Self::read_json(value, prefix))?;
        Ok(read.unwrap_or_default())
    }
}

/// Reads `[0,{..}]` or `{"type":"comment_payout_beneficiaries","value":{..}}`.
fn read_extension(value: &Value, prefix: &KeyPrefix) -> Result<CommentExtension, JsonError> {
    if value.is_array() {
        let (tag, body) = pair(value, "an array of a number and an object")?;
        return match tag.as_u64() {
            Some(0) => read_shares(body, prefix),
            _ => Err(JsonReason::Unknown(Excerpt::of(&tag.to_string())).into()),
        };
    }
    let object = Object::of(value)?;
    object.read("type", |value| match text(value)? {
        BENEFICIARIES => Ok(()),
        other => Err(JsonReason::Unknown(Excerpt::of(other)).into()),
    })?;
    object.read("value", |body| read_shares(body, prefix))
}

fn read_shares(body: &Value, prefix: &KeyPrefix) -> Result<CommentExtension, JsonError> {
    let shares = Object::of(body)?.read("beneficiaries", |value| {
        items(value, |item| {
            let share = Object::of(item)?;
            Ok(Beneficiary {
                account: String::read_member(share, "account", prefix)?,
                weight: u16::read_member(share, "weight", prefix)?,
            })
        })
    })?;
    Ok(CommentExtension::Beneficiaries(shares))
}

fn write_extension(extension: &CommentExtension, style: JsonStyle) -> Value {
    let CommentExtension::Beneficiaries(shares) = extension;
    let share = |share: &Beneficiary| json!({ "account": share.account, "weight": share.weight });
    let body = json!({ "beneficiaries": shares.iter().map(share).collect::<Vec<_>>() });
    match style.form {
        JsonForm::Legacy => json!([0, body]),
        JsonForm::Hf26 => json!({ "type": BENEFICIARIES, "value": body }),
    }
}

fn unpack_shares(from: &mut Unpacker<'_>) -> Result<Vec<Beneficiary>, DecodeError> {
    let mut shares = Vec::new();
    for _ in 0..from.count()? {
        shares.push(Beneficiary { account: String::unpack(from)?, weight: u16::unpack(from)? });
    }
    Ok(shares)
}
