//! A chat message: [`Message`].

use std::fmt::{self, Write as _};

use crate::{
    fields::{self, FieldValue, Fields, Known, MessageError, SignatureText},
    json_text,
    moment::Moment,
    networks::{Account, Networks},
};

/// A message in its right form; that its signature is good is for [`StreamChat`](crate::StreamChat) to find out.
///
/// Source: `spec/alivedb.md`, sections 8.1 and 8.2.
///
/// ```
/// # use alive_chat::{Family, Networks};
/// # use alive_hive::{GraphenePlain, is_account_name};
/// # let networks = Networks::new([Family::new("hive".parse()?, GraphenePlain, is_account_name)])?;
/// use alive_chat::Message;
/// let json = r#"{"u":"alice","n":"hive","s":"1f00","t":1795219380221,"m":"hello"}"#;
/// let message = Message::from_json(&networks, json)?;
/// assert_eq!(message.account().to_string(), "hive/alice");
/// assert_eq!(message.to_string(), json);
/// let extra = r#"{"u":"alice","n":"hive","s":"1f00","t":1795219380221,"m":"hello","x":1}"#;
/// assert!(Message::from_json(&networks, extra).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Message {
    account: Account,
    signature: SignatureText,
    time: Moment,
    text: Box<str>,
}

impl Message {
    /// Longest text that has the form of a message, in bytes. Our own limit; a [`Room`](crate::Room) takes less.
    pub const MAX_TEXT: usize = 65_536;
    /// Longest JSON that is looked at, in bytes: every byte of the longest text escaped, and the other fields.
    pub const MAX_JSON: usize = 6 * Self::MAX_TEXT + 4096;

    /// Reads the fields of a node.
    ///
    /// # Errors
    /// A field is missing, empty, of another type, too long or not known, or the account cannot be.
    pub fn from_fields<'a, N: AsRef<str>>(
        networks: &Networks,
        fields: impl IntoIterator<Item = (N, FieldValue<'a>)>,
    ) -> Result<Self, MessageError> {
        let fields = Fields::collect(fields, Known::Message)?;
        let text = fields::text('m', fields.text.as_ref())?;
        if text.len() > Self::MAX_TEXT {
            let (len, max) = (text.len(), Self::MAX_TEXT);
            return Err(MessageError::TooLong { field: 'm', len, max });
        }
        let network = fields::text('n', fields.network.as_ref())?;
        let account = networks.account(network, fields::text('u', fields.user.as_ref())?)?;
        let family = networks.get(network).ok_or(MessageError::Missing('n'))?;
        let (s, r) = (fields.signature.as_ref(), fields.recovery_id.as_ref());
        let signature = fields::signature(family, s, r)?;
        let time = fields::time(fields.time.as_ref())?;
        Ok(Self { account, signature, time, text: text.into() })
    }

    /// Reads a JSON object of these fields.
    ///
    /// # Errors
    /// As [`from_fields`](Self::from_fields); also when the text is no JSON object, has half of a surrogate pair, or is
    /// longer than [`MAX_JSON`](Self::MAX_JSON).
    pub fn from_json(networks: &Networks, json: &str) -> Result<Self, MessageError> {
        if json.len() > Self::MAX_JSON {
            let (len, max) = (json.len(), Self::MAX_JSON);
            return Err(MessageError::TooLong { field: '{', len, max });
        }
        Self::from_fields(networks, fields::read_json(json)?)
    }

    /// Who says to have sent it.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The signature, unchecked.
    pub fn signature(&self) -> &SignatureText {
        &self.signature
    }

    /// When it was written, by the clock of its sender.
    pub fn time(&self) -> Moment {
        self.time
    }

    /// What it says. Show it through [`SafeText`](crate::SafeText).
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Message {
    /// The JSON text of `u,n,s,t,m`, for networks with a recovery id `u,n,s,r,t,m`: what transports carry and a line of
    /// an archive. Source: `spec/alivedb.md`, section 8.8.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names hold nothing that JSON escapes only if their network says so; a signature may hold anything.
        f.write_str("{\"u\":")?;
        json_text::write_string(f, self.account.name().as_str())?;
        f.write_str(",\"n\":")?;
        json_text::write_string(f, self.account.network().as_str())?;
        f.write_str(",\"s\":")?;
        json_text::write_string(f, &self.signature.text)?;
        if let Some(id) = self.signature.recovery_id {
            write!(f, ",\"r\":{id}")?;
        }
        write!(f, ",\"t\":{},\"m\":", self.time)?;
        json_text::write_string(f, &self.text)?;
        f.write_char('}')
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::fixtures::networks;

    fn read(json: &str) -> Result<Message, MessageError> {
        Message::from_json(&networks(), json)
    }

    #[rstest]
    #[case::not_json("{", MessageError::Json)]
    #[case::list("[]", MessageError::Json)]
    #[case::half_a_pair(
        r#"{"u":"alice","n":"hive","s":"x","t":1,"m":"\ud800"}"#,
        MessageError::Json
    )]
    #[case::no_text(r#"{"u":"alice","n":"hive","s":"x","t":1}"#, MessageError::Missing('m'))]
    #[case::null_text(
        r#"{"u":"alice","n":"hive","s":"x","t":1,"m":null}"#,
        MessageError::Missing('m')
    )]
    #[case::empty(r#"{"u":"alice","n":"hive","s":"x","t":1,"m":""}"#, MessageError::Empty('m'))]
    #[case::zero(r#"{"u":"alice","n":"hive","s":"x","t":-0.0,"m":"a"}"#, MessageError::Empty('t'))]
    #[case::infinite(
        r#"{"u":"alice","n":"hive","s":"x","t":1e999,"m":"a"}"#,
        MessageError::Type('t')
    )]
    #[case::time_text(
        r#"{"u":"alice","n":"hive","s":"x","t":"1","m":"a"}"#,
        MessageError::Type('t')
    )]
    #[case::no_id(
        r#"{"u":"carol","n":"avalon","s":"x","t":1,"m":"a"}"#,
        MessageError::Missing('r')
    )]
    #[case::id_4(
        r#"{"u":"carol","n":"avalon","s":"x","r":4,"t":1,"m":"a"}"#,
        MessageError::RecoveryId
    )]
    #[case::id_half(
        r#"{"u":"carol","n":"avalon","s":"x","r":0.5,"t":1,"m":"a"}"#,
        MessageError::RecoveryId
    )]
    fn refuses_another_form(#[case] json: &str, #[case] why: MessageError) {
        assert_eq!(read(json), Err(why));
    }

    #[test]
    fn a_recovery_id_is_kept_only_where_it_counts() {
        let hive = read(r#"{"u":"alice","n":"hive","s":"x","r":"any","t":1,"m":"a"}"#).unwrap();
        assert_eq!(hive.to_string(), r#"{"u":"alice","n":"hive","s":"x","t":1,"m":"a"}"#);
        let avalon = read(r#"{"_":{},"u":"carol","n":"avalon","s":"x","r":0,"t":1,"m":"a"}"#);
        assert_eq!(
            avalon.unwrap().to_string(),
            r#"{"u":"carol","n":"avalon","s":"x","r":0,"t":1,"m":"a"}"#
        );
    }

    #[test]
    fn a_megabyte_is_refused_by_its_length() {
        let json =
            format!(r#"{{"u":"alice","n":"hive","s":"x","t":1,"m":"{}"}}"#, "a".repeat(1 << 20));
        assert!(matches!(read(&json), Err(MessageError::TooLong { field: '{', .. })));
        let json =
            format!(r#"{{"u":"alice","n":"hive","s":"x","t":1,"m":"{}"}}"#, "a".repeat(65_537));
        assert!(matches!(read(&json), Err(MessageError::TooLong { field: 'm', .. })));
        let json =
            format!(r#"{{"u":"alice","n":"hive","s":"x","t":1,"m":"{}"}}"#, "a".repeat(65_536));
        assert!(read(&json).is_ok());
    }

    #[test]
    fn names_that_only_look_right_are_none() {
        for name in ["аlice", "alice\u{200b}", "Alice", "al_ice", "alice/x", "ali", "a", "alice."]
        {
            let json = format!(r#"{{"u":"{name}","n":"hive","s":"x","t":1,"m":"a"}}"#);
            let is_refused = matches!(read(&json), Err(MessageError::Account(_)));
            assert_eq!(is_refused, name != "ali", "{name}");
        }
    }
}
