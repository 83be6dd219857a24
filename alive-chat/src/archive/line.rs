//! One line of an archive, by its form only.

use crate::{
    fields::{FieldValue, MessageError},
    json_text::{Text, take_number, take_string},
    message::Message,
    moment::Moment,
    networks::Networks,
};

/// A line that has the form of one. What it says may still be refused.
#[derive(Debug)]
pub(super) struct Line<'a> {
    user: Text<'a>,
    network: Text<'a>,
    signature: Text<'a>,
    recovery_id: Option<f64>,
    /// The time that orders lines; those that are refused, too.
    pub(super) time: Moment,
    text: Text<'a>,
}

impl<'a> Line<'a> {
    /// Reads a line without its end. Only what the writer would write has the form: these keys in this order, `r` only
    /// for networks that have it, and JavaScript's JSON text byte for byte.
    pub(super) fn read(networks: &Networks, line: &'a str) -> Option<Self> {
        let (user, rest) = take_string(line.strip_prefix("{\"u\":")?)?;
        let (network, rest) = take_string(rest.strip_prefix(",\"n\":")?)?;
        let (signature, rest) = take_string(rest.strip_prefix(",\"s\":")?)?;
        let has_recovery_id = match &network {
            Text::Whole(name) => {
                networks.get(name).is_some_and(crate::networks::Family::has_recovery_id)
            }
            Text::Broken => false,
        };
        let (recovery_id, rest) = match rest.strip_prefix(",\"r\":") {
            Some(rest) if has_recovery_id => {
                let (id, rest) = take_number(rest)?;
                (Some(id), rest)
            }
            None if !has_recovery_id => (None, rest),
            _ => return None,
        };
        let (time, rest) = take_number(rest.strip_prefix(",\"t\":")?)?;
        let (text, rest) = take_string(rest.strip_prefix(",\"m\":")?)?;
        let time = Moment::from_ms(time)?;
        (rest == "}").then_some(Self { user, network, signature, recovery_id, time, text })
    }

    /// The message that it says.
    pub(super) fn into_message(self, networks: &Networks) -> Result<Message, MessageError> {
        let value = |text: Text<'a>| match text {
            Text::Whole(text) => FieldValue::Text(text),
            Text::Broken => FieldValue::Other,
        };
        let id = self.recovery_id.map_or(FieldValue::Null, FieldValue::Number);
        let fields = [
            ("u", value(self.user)),
            ("n", value(self.network)),
            ("s", value(self.signature)),
            ("r", id),
            ("t", FieldValue::Number(self.time.as_ms())),
            ("m", value(self.text)),
        ];
        Message::from_fields(networks, fields)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::fixtures::networks;

    #[rstest]
    #[case::hive(r#"{"u":"alice","n":"hive","s":"x","t":1,"m":"a"}"#, true)]
    #[case::avalon(r#"{"u":"carol","n":"avalon","s":"x","r":1,"t":1,"m":"a"}"#, true)]
    #[case::unknown_network(r#"{"u":"carol","n":"nostr","s":"x","t":1,"m":"a"}"#, true)]
    #[case::empty_texts(r#"{"u":"","n":"","s":"","t":0,"m":""}"#, true)]
    #[case::half_a_pair(r#"{"u":"alice","n":"hive","s":"x","t":1,"m":"\ud800"}"#, true)]
    #[case::odd_recovery_id(r#"{"u":"carol","n":"avalon","s":"x","r":-1.5,"t":1,"m":"a"}"#, true)]
    #[case::no_recovery_id(r#"{"u":"carol","n":"avalon","s":"x","t":1,"m":"a"}"#, false)]
    #[case::needless_recovery_id(r#"{"u":"alice","n":"hive","s":"x","r":1,"t":1,"m":"a"}"#, false)]
    #[case::order(r#"{"n":"hive","u":"alice","s":"x","t":1,"m":"a"}"#, false)]
    #[case::blank(r#"{"u":"alice","n":"hive","s":"x","t":1, "m":"a"}"#, false)]
    #[case::blank_behind(r#"{"u":"alice","n":"hive","s":"x","t":1,"m":"a"} "#, false)]
    #[case::carriage_return(
        "{\"u\":\"alice\",\"n\":\"hive\",\"s\":\"x\",\"t\":1,\"m\":\"a\"}\r",
        false
    )]
    #[case::byte_order_mark(
        "\u{feff}{\"u\":\"alice\",\"n\":\"hive\",\"s\":\"x\",\"t\":1,\"m\":\"a\"}",
        false
    )]
    #[case::more_fields(r#"{"u":"alice","n":"hive","s":"x","t":1,"m":"a","x":1}"#, false)]
    #[case::time_text(r#"{"u":"alice","n":"hive","s":"x","t":"1","m":"a"}"#, false)]
    #[case::time_with_point(r#"{"u":"alice","n":"hive","s":"x","t":1.0,"m":"a"}"#, false)]
    #[case::nothing("", false)]
    fn form_is_exact(#[case] line: &str, #[case] fits: bool) {
        assert_eq!(Line::read(&networks(), line).is_some(), fits);
    }
}
