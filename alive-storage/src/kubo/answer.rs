//! What nodes answer. Kubo and js-ipfs differ in places; both are read.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::DeserializeOwned};

/// A record of `add`. The last one is the root; records of progress have no hash.
#[derive(Debug, Deserialize)]
pub(super) struct Added {
    #[serde(rename = "Hash")]
    pub(super) hash: Option<String>,
}

/// A block, by `block/put` and `block/stat`.
#[derive(Debug, Deserialize)]
pub(super) struct Keyed {
    #[serde(rename = "Key")]
    pub(super) key: String,
    #[serde(rename = "Size")]
    pub(super) size: Size,
}

/// A number of bytes: some nodes write numbers, some texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size(pub(super) u64);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(u64),
            Text(String),
        }
        match Either::deserialize(from)? {
            Either::Number(size) => Ok(Self(size)),
            Either::Text(size) => size.parse().map(Self).map_err(serde::de::Error::custom),
        }
    }
}

/// A record of `dag/import`.
#[derive(Debug, Deserialize)]
pub(super) struct Imported {
    #[serde(rename = "Root")]
    pub(super) root: Option<ImportedRoot>,
}

/// A root of `dag/import`, and why it was not pinned.
#[derive(Debug, Deserialize)]
pub(super) struct ImportedRoot {
    #[serde(rename = "Cid")]
    pub(super) cid: Link,
    #[serde(rename = "PinErrorMsg")]
    pub(super) pin_error: Option<String>,
}

/// A CID in JSON.
#[derive(Debug, Deserialize)]
pub(super) struct Link {
    #[serde(rename = "/")]
    pub(super) link: String,
}

/// What `pin/add` pinned.
#[derive(Debug, Deserialize)]
pub(super) struct Pins {
    #[serde(rename = "Pins")]
    pub(super) pins: Vec<String>,
}

/// What `pin/ls` lists.
#[derive(Debug, Deserialize)]
pub(super) struct Listed {
    #[serde(rename = "Keys", default)]
    pub(super) keys: BTreeMap<String, Pinned>,
}

/// How something is pinned.
#[derive(Debug, Deserialize)]
pub(super) struct Pinned {
    #[serde(rename = "Type")]
    pub(super) kind: String,
}

/// What `version` says.
#[derive(Debug, Deserialize)]
pub(super) struct NodeVersion {
    #[serde(rename = "Version")]
    pub(super) version: String,
}

/// Why a node did not.
#[derive(Debug, Deserialize)]
pub(super) struct Refusal {
    #[serde(rename = "Message")]
    pub(super) message: String,
}

/// Reads JSON values one behind the other. All must be whole.
pub(super) fn records<T: DeserializeOwned>(body: &[u8]) -> Result<Vec<T>, serde_json::Error> {
    serde_json::Deserializer::from_slice(body).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_numbers_or_texts() {
        let read = |text| serde_json::from_str::<Keyed>(text).map(|keyed| keyed.size);
        assert_eq!(read(r#"{"Key":"x","Size":12}"#).unwrap(), Size(12));
        assert_eq!(read(r#"{"Key":"x","Size":"12"}"#).unwrap(), Size(12));
        assert!(read(r#"{"Key":"x","Size":"-1"}"#).is_err());
    }

    #[test]
    fn a_record_that_broke_off_is_an_error() {
        let read = |text: &str| records::<Added>(text.as_bytes()).map(|all| all.len());
        assert_eq!(read("{\"Name\":\"a\",\"Bytes\":1}\n{\"Hash\":\"x\"}\n").unwrap(), 2);
        assert_eq!(read("").unwrap(), 0);
        assert!(read("{\"Hash\":\"x\"}\n{\"Ha").is_err());
    }
}
