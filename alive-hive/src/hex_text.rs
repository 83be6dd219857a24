//! Byte strings of a fixed length whose text form is hexadecimal.

/// Reads exactly `N` bytes from `2 * N` hexadecimal digits of either case.
pub(crate) fn read_hex<const N: usize>(text: &str) -> Result<[u8; N], HexError> {
    if text.len() != 2 * N {
        return Err(HexError::Len { found: text.len(), expected: 2 * N });
    }
    read_hex_bytes(text.as_bytes()).ok_or(HexError::Digit)
}

/// Reads exactly `N` bytes from as many hexadecimal digits as they need.
pub(crate) fn read_hex_bytes<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    faster_hex::hex_decode_array(digits).ok()
}

/// Why a text is not the hexadecimal form of an identifier or a digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HexError {
    /// A character is not a hexadecimal digit.
    #[error("a character is not a hexadecimal digit")]
    Digit,
    /// The text has another length.
    #[error("{found} bytes of text, {expected} hexadecimal digits expected")]
    Len {
        /// Bytes of text found.
        found: usize,
        /// Digits that belong there.
        expected: usize,
    },
}

/// Makes a newtype over `[u8; N]` with its hexadecimal text form, which is also its serde form.
macro_rules! hex_bytes {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Number of bytes.
            pub const LEN: usize = $len;

            /// Takes the bytes as they are.
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::hex_text::HexError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $crate::hex_text::read_hex(text).map(Self)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let mut digits = [0; 2 * $len];
                let text = faster_hex::hex_encode(&self.0, &mut digits);
                f.write_str(text.map_err(|_| std::fmt::Error)?)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        $crate::hex_text::serde_as_text!($name);
    };
}
pub(crate) use hex_bytes;

/// Serialises a type by its `Display` form and reads it back by `FromStr`.
macro_rules! serde_as_text {
    ($name:ty) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use serde_as_text;
