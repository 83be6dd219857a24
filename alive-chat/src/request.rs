//! A request for access to a chat: [`AccessRequest`].

use std::fmt;

use crate::{
    fields::{self, FieldValue, Fields, Known, MessageError, SignatureText},
    json_text,
    moment::Moment,
    networks::{Account, Networks},
};

/// A request in its right form: an account asks to take part. Who asks stands in the path that it was found under.
///
/// Source: `spec/alivedb.md`, sections 8.1 and 8.4.
///
/// ```
/// # use alive_chat::{Family, Networks};
/// # use alive_hive::{GraphenePlain, is_account_name};
/// # let networks = Networks::new([Family::new("hive".parse()?, GraphenePlain, is_account_name)])?;
/// use alive_chat::AccessRequest;
/// let alice = networks.account("hive", "alice")?;
/// let request = AccessRequest::from_json(&networks, alice, r#"{"s":"1f00","t":1795219380221}"#)?;
/// assert_eq!(request.to_string(), r#"{"s":"1f00","t":1795219380221}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AccessRequest {
    account: Account,
    signature: SignatureText,
    time: Moment,
}

impl AccessRequest {
    /// Longest JSON that is looked at, in bytes: a signature, a time, and what GUN adds.
    pub const MAX_JSON: usize = 4096;

    /// Reads the fields of the node that was found under the account's path.
    ///
    /// # Errors
    /// A field is missing, empty, of another type, too long or not known, or the account's network is not of the chat.
    pub fn from_fields<'a, N: AsRef<str>>(
        networks: &Networks,
        account: Account,
        fields: impl IntoIterator<Item = (N, FieldValue<'a>)>,
    ) -> Result<Self, MessageError> {
        let fields = Fields::collect(fields, Known::Request)?;
        let family = networks.get(account.network().as_str());
        let family = family.ok_or(MessageError::Missing('n'))?;
        let (s, r) = (fields.signature.as_ref(), fields.recovery_id.as_ref());
        let signature = fields::signature(family, s, r)?;
        Ok(Self { account, signature, time: fields::time(fields.time.as_ref())? })
    }

    /// Reads a JSON object of these fields.
    ///
    /// # Errors
    /// As [`from_fields`](Self::from_fields); also when the text is no JSON object or too long.
    pub fn from_json(
        networks: &Networks,
        account: Account,
        json: &str,
    ) -> Result<Self, MessageError> {
        if json.len() > Self::MAX_JSON {
            let (len, max) = (json.len(), Self::MAX_JSON);
            return Err(MessageError::TooLong { field: '{', len, max });
        }
        Self::from_fields(networks, account, fields::read_json(json)?)
    }

    /// Who asks.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The signature, unchecked.
    pub fn signature(&self) -> &SignatureText {
        &self.signature
    }

    /// When it was made, by the clock of the one who asks.
    pub fn time(&self) -> Moment {
        self.time
    }
}

impl fmt::Display for AccessRequest {
    /// The JSON text of `s,t`, for networks with a recovery id `s,r,t`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{\"s\":")?;
        json_text::write_string(f, &self.signature.text)?;
        if let Some(id) = self.signature.recovery_id {
            write!(f, ",\"r\":{id}")?;
        }
        write!(f, ",\"t\":{}}}", self.time)
    }
}
