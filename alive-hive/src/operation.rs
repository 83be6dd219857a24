//! The operations that Alive needs: [`Operation`], in both JSON forms and both packs.
//!
//! Source: `spec/hive.md`, section 4.1. Other operations of the chain are not known here: a transaction that holds one
//! cannot be parsed, while a block that holds one can be read all the same ([`crate::extract_blocks`]).

use std::collections::BTreeSet;

use alive_core::Excerpt;
use serde_json::{Map, Value, json};

use crate::{
    asset::Asset,
    authority::Authority,
    comment_extension::CommentExtension,
    json_form::{JsonError, JsonForm, JsonReason, JsonStyle, Object, pair, text},
    keys::PublicKey,
    network::KeyPrefix,
    serialize::{DecodeError, DecodeReason, Field, NoExtensions, Packer, Unpacker},
};

/// Defines the operations once; both JSON forms and both packs follow from the order and types of the fields.
macro_rules! operations {
    ($(
        $(#[$doc:meta])*
        $op:ident = $id:literal, $name:literal {
            $($(#[$field_doc:meta])* $field:ident: $kind:ty,)*
        }
    )*) => {
        /// An operation of a transaction.
        ///
        /// ```
        /// use alive_hive::{CustomJson, JsonForm, KeyPrefix, Operation};
        /// let operation = Operation::from(CustomJson::posting("alice", "alive-test", r#"{"op":1,"link":"s"}"#));
        /// let json = operation.to_json(JsonForm::Legacy, &KeyPrefix::STM);
        /// assert_eq!(json[0], "custom_json");
        /// assert_eq!(Operation::from_json(&json, &KeyPrefix::STM)?, operation);
        /// # Ok::<(), alive_hive::JsonError>(())
        /// ```
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Operation {
            $($(#[$doc])* $op($op),)*
        }

        impl Operation {
            /// The name in the legacy JSON form, such as `custom_json`.
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$op(_) => $name,)*
                }
            }

            /// The number in the binary form.
            pub const fn id(&self) -> u32 {
                match self {
                    $(Self::$op(_) => $id,)*
                }
            }

            fn read_body(name: &str, body: &Value, prefix: &KeyPrefix) -> Result<Self, JsonError> {
                match name {
                    $($name => {
                        let read = Object::of(body).and_then(|body| $op::read_fields(body, prefix));
                        read.map(Self::$op).map_err(|error| error.inside($name))
                    })*
                    other => Err(JsonReason::Unknown(Excerpt::of(other)).into()),
                }
            }

            fn body(&self, style: JsonStyle) -> Value {
                match self {
                    $(Self::$op(op) => op.to_object(style),)*
                }
            }

            pub(crate) fn pack(&self, to: &mut Packer) {
                to.varint(self.id().into());
                match self {
                    $(Self::$op(op) => op.pack(to),)*
                }
            }

            pub(crate) fn unpack(from: &mut Unpacker<'_>) -> Result<Self, DecodeError> {
                match from.varint()? {
                    $($id => $op::unpack(from).map(Self::$op),)*
                    other => from.fail(DecodeReason::Unknown(other)),
                }
            }
        }

        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq, Eq)]
            pub struct $op {
                $($(#[$field_doc])* pub $field: $kind,)*
            }

            impl $op {
                fn read_fields(object: Object<'_>, prefix: &KeyPrefix) -> Result<Self, JsonError> {
                    Ok(Self { $($field: Field::read_member(object, stringify!($field), prefix)?,)* })
                }

                fn to_object(&self, style: JsonStyle) -> Value {
                    let members = [$((stringify!($field), self.$field.to_member(style)),)*];
                    let present = members.into_iter();
                    let present = present.filter_map(|(name, value)| Some((name.into(), value?)));
                    Value::Object(present.collect::<Map<_, _>>())
                }

                fn pack(&self, to: &mut Packer) {
                    $(self.$field.pack(to);)*
                }

                fn unpack(from: &mut Unpacker<'_>) -> Result<Self, DecodeError> {
                    Ok(Self { $($field: Field::unpack(from)?,)* })
                }
            }

            impl From<$op> for Operation {
                fn from(op: $op) -> Self {
                    Self::$op(op)
                }
            }
        )*
    };
}

operations! {
    /// A vote for a post.
    Vote = 0, "vote" {
        /// Who votes.
        voter: String,
        /// Whose post.
        author: String,
        /// Which post.
        permlink: String,
        /// Strength in hundredths of a percent, -10000 to 10000.
        weight: i16,
    }
    /// A post or an answer to one.
    Comment = 1, "comment" {
        /// Whose post is answered; empty for a post of its own.
        parent_author: String,
        /// Which post is answered, or the category.
        parent_permlink: String,
        /// Who writes.
        author: String,
        /// Name of the post, unique for the author.
        permlink: String,
        /// Title.
        title: String,
        /// Text.
        body: String,
        /// Anything else, as JSON text.
        json_metadata: String,
    }
    /// A payment.
    Transfer = 2, "transfer" {
        /// Who pays.
        from: String,
        /// Who is paid.
        to: String,
        /// How much.
        amount: Asset,
        /// A note.
        memo: String,
    }
    /// An amount turned into vesting shares.
    TransferToVesting = 3, "transfer_to_vesting" {
        /// Who pays.
        from: String,
        /// Who gets the shares; empty for the payer.
        to: String,
        /// How much.
        amount: Asset,
    }
    /// A new account.
    AccountCreate = 9, "account_create" {
        /// What it costs.
        fee: Asset,
        /// Who pays.
        creator: String,
        /// Name of the new account.
        new_account_name: String,
        /// Its owner authority.
        owner: Authority,
        /// Its active authority.
        active: Authority,
        /// Its posting authority.
        posting: Authority,
        /// Its memo key.
        memo_key: PublicKey,
        /// Anything else, as JSON text.
        json_metadata: String,
    }
    /// Data of an application: how Alive speaks on Hive.
    CustomJson = 18, "custom_json" {
        /// Accounts whose active authority signs; sorted, each once, as hived keeps them.
        required_auths: BTreeSet<String>,
        /// Accounts whose posting authority signs; sorted, each once.
        required_posting_auths: BTreeSet<String>,
        /// Whose data it is, at most 32 bytes.
        id: String,
        /// The data as JSON text, carried byte for byte.
        json: String,
    }
    /// Settings of a post.
    CommentOptions = 19, "comment_options" {
        /// Whose post.
        author: String,
        /// Which post.
        permlink: String,
        /// Highest payout.
        max_accepted_payout: Asset,
        /// Share paid in HBD, in hundredths of a percent.
        percent_hbd: u16,
        /// Whether votes are allowed.
        allow_votes: bool,
        /// Whether voters are rewarded.
        allow_curation_rewards: bool,
        /// Who shares the reward; packed in this order.
        extensions: Vec<CommentExtension>,
    }
    /// New keys or metadata of an account.
    AccountUpdate2 = 43, "account_update2" {
        /// Which account.
        account: String,
        /// New owner authority.
        owner: Option<Authority>,
        /// New active authority.
        active: Option<Authority>,
        /// New posting authority.
        posting: Option<Authority>,
        /// New memo key.
        memo_key: Option<PublicKey>,
        /// New metadata as JSON text, if not empty.
        json_metadata: String,
        /// New metadata that the posting key may change, as JSON text, if not empty.
        posting_json_metadata: String,
        /// None are defined.
        extensions: NoExtensions,
    }
}

impl CustomJson {
    /// Data signed by one account's posting authority.
    pub fn posting(account: &str, id: &str, json: impl Into<String>) -> Self {
        Self {
            required_auths: BTreeSet::new(),
            required_posting_auths: BTreeSet::from([account.to_owned()]),
            id: id.to_owned(),
            json: json.into(),
        }
    }
}

impl Operation {
    /// What the HF26 form appends to the name.
    const TYPE_SUFFIX: &str = "_operation";

    /// Reads an operation in either JSON form; its shape tells which.
    ///
    /// # Errors
    /// [`JsonError`] names the member at fault, or the operation if it is none of this enum.
    pub fn from_json(value: &Value, prefix: &KeyPrefix) -> Result<Self, JsonError> {
        if value.is_array() {
            let (name, body) = pair(value, "an array of a name and an object")?;
            return Self::read_body(text(name)?, body, prefix);
        }
        let object = Object::of(value)?;
        let name = object.read("type", |value| {
            let name = text(value)?;
            let unknown = || JsonReason::Unknown(Excerpt::of(name)).into();
            name.strip_suffix(Self::TYPE_SUFFIX).ok_or_else(unknown)
        })?;
        object.read("value", |body| Ok(Self::read_body(name, body, prefix)))?
    }

    /// Writes the operation.
    pub fn to_json(&self, form: JsonForm, prefix: &KeyPrefix) -> Value {
        let body = self.body(JsonStyle { form, prefix: *prefix });
        match form {
            JsonForm::Legacy => json!([self.name(), body]),
            JsonForm::Hf26 => {
                json!({ "type": format!("{}{}", self.name(), Self::TYPE_SUFFIX), "value": body })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn read(value: &Value) -> Result<Operation, String> {
        Operation::from_json(value, &KeyPrefix::STM).map_err(|error| error.to_string())
    }

    #[rstest]
    #[case(json!(null), "an object expected")]
    #[case(json!("vote"), "an object expected")]
    #[case(json!([]), "an array of a name and an object expected")]
    #[case(json!([18, {}]), "a text expected")]
    #[case(json!(["vote", null]), "vote: an object expected")]
    #[case(json!(["vote", {}]), "vote.voter: missing")]
    #[case(json!(["vote", {}, 1]), "an array of a name and an object expected")]
    #[case(json!(["fly", {}]), "unknown kind \"fly\"")]
    #[case(json!(["vote_operation", {}]), "unknown kind \"vote_operation\"")]
    #[case(json!({ "type": "vote", "value": {} }), "type: unknown kind \"vote\"")]
    #[case(json!({ "type": "vote_operation" }), "value: missing")]
    #[case(
        json!(["custom_json", { "required_auths": ["a", 5] }]),
        "custom_json.required_auths[1]: a text expected"
    )]
    #[case(
        json!(["transfer", { "from": "a", "to": "b", "amount": "1 HIVE", "memo": "" }]),
        "transfer.amount: \"1 HIVE\" is no amount such as \"1.000 HIVE\" (3 decimals, VESTS 6)"
    )]
    fn what_is_wrong_is_said_with_its_place(#[case] value: Value, #[case] error: &str) {
        assert_eq!(read(&value).unwrap_err(), error);
    }

    #[test]
    fn names_are_sorted_and_kept_once() {
        let value = json!(["custom_json", {
            "required_auths": [],
            "required_posting_auths": ["bob", "alice", "bob"],
            "id": "alive-test",
            "json": "{}",
        }]);
        let Ok(Operation::CustomJson(op)) = read(&value) else { panic!("not a custom_json") };
        assert_eq!(Vec::from_iter(op.required_posting_auths), ["alice", "bob"]);
    }

    #[test]
    fn an_absent_and_a_null_optional_field_are_the_same_and_neither_is_written() {
        let body = |owner: Option<Value>| {
            let mut body =
                json!({ "account": "a", "json_metadata": "", "posting_json_metadata": "" });
            if let Some(owner) = owner {
                body["owner"] = owner;
            }
            read(&json!(["account_update2", body]))
        };
        let absent = body(None).unwrap();
        assert_eq!(body(Some(Value::Null)), Ok(absent.clone()));
        let written = absent.to_json(JsonForm::Legacy, &KeyPrefix::STM);
        assert!(written[1].get("owner").is_none());
        assert_eq!(written[1]["extensions"], json!([]));
    }
}
