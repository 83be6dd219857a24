//! Amounts of the three currencies: [`Asset`].

use std::{fmt, str::FromStr};

use alive_core::Excerpt;
use serde_json::{Value, json};

use crate::{
    json_form::{JsonError, JsonForm, JsonReason, JsonStyle, Object, text, whole},
    network::KeyPrefix,
    serialize::{DecodeError, DecodeReason, Field, Pack, Packer, Unpacker},
};

/// A currency of Hive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum AssetSymbol {
    /// The debt currency, 3 decimals.
    Hbd,
    /// The currency, 3 decimals.
    Hive,
    /// Vesting shares, 6 decimals.
    Vests,
}

impl AssetSymbol {
    const ALL: [Self; 3] = [Self::Hbd, Self::Hive, Self::Vests];

    /// The name in the legacy JSON form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hbd => "HBD",
            Self::Hive => "HIVE",
            Self::Vests => "VESTS",
        }
    }

    /// Digits after the point.
    pub const fn precision(self) -> u8 {
        match self {
            Self::Hbd | Self::Hive => 3,
            Self::Vests => 6,
        }
    }

    /// The numeric asset identifier of the HF26 JSON form.
    pub const fn nai(self) -> &'static str {
        match self {
            Self::Hbd => "@@000000013",
            Self::Hive => "@@000000021",
            Self::Vests => "@@000000037",
        }
    }

    /// The name in the legacy pack: the chain never renamed what is signed.
    const fn packed_name(self) -> &'static [u8; 7] {
        match self {
            Self::Hbd => b"SBD\0\0\0\0",
            Self::Hive => b"STEEM\0\0",
            Self::Vests => b"VESTS\0\0",
        }
    }

    /// The symbol in the HF26 pack: the identifier without its check digit, moved, beside the precision.
    const fn packed_nai(self) -> u32 {
        let number = match self {
            Self::Hbd => 1,
            Self::Hive => 2,
            Self::Vests => 3,
        };
        ((99_999_999 + number) << 5) | self.precision() as u32
    }
}

/// An amount of one currency.
///
/// Its text is the legacy JSON form, exact to the last digit. Source: `spec/hive.md`, section 4.1.
///
/// ```
/// use alive_hive::{Asset, AssetSymbol};
/// let fee: Asset = "3.000 HIVE".parse()?;
/// assert_eq!((fee.amount, fee.symbol), (3000, AssetSymbol::Hive));
/// assert!("3.00 HIVE".parse::<Asset>().is_err());
/// # Ok::<(), alive_hive::AssetError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Asset {
    /// The amount in the smallest unit: thousandths of HIVE and HBD, millionths of VESTS.
    pub amount: i64,
    /// The currency.
    pub symbol: AssetSymbol,
}

impl fmt::Display for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = 10_u64.pow(self.symbol.precision().into());
        let sign = if self.amount < 0 { "-" } else { "" };
        let amount = self.amount.unsigned_abs();
        let digits = usize::from(self.symbol.precision());
        let (whole, rest) = (amount / unit, amount % unit);
        write!(f, "{sign}{whole}.{rest:0digits$} {}", self.symbol.as_str())
    }
}

impl FromStr for Asset {
    type Err = AssetError;

    fn from_str(text: &str) -> Result<Self, AssetError> {
        let refuse = || AssetError::Text(Excerpt::of(text));
        let (number, name) = text.split_once(' ').ok_or_else(refuse)?;
        let symbol = AssetSymbol::ALL.into_iter().find(|symbol| symbol.as_str() == name);
        let symbol = symbol.ok_or_else(refuse)?;
        let (whole, rest) = number.split_once('.').ok_or_else(refuse)?;
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let unsigned = whole.strip_prefix('-').unwrap_or(whole);
        if !digits(unsigned) || !digits(rest) || rest.len() != usize::from(symbol.precision()) {
            return Err(refuse());
        }
        let amount = format!("{whole}{rest}").parse().map_err(|_| refuse())?;
        Ok(Self { amount, symbol })
    }
}

/// Why a value is no [`Asset`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AssetError {
    /// The amount of the HF26 form is not a whole number of 64 bits, as a text.
    #[error("amount {0} is not a whole number")]
    Amount(Excerpt),
    /// No currency with this identifier.
    #[error("{0} is no asset identifier")]
    Nai(Excerpt),
    /// The currency has another precision.
    #[error("precision {found}, {expected} expected")]
    Precision {
        /// What is written there.
        found: u8,
        /// What the currency has.
        expected: u8,
    },
    /// Not of the legacy text form.
    #[error("{0} is no amount such as \"1.000 HIVE\" (3 decimals, VESTS 6)")]
    Text(Excerpt),
}

impl Field for Asset {
    fn read_json(value: &Value, _: &KeyPrefix) -> Result<Self, JsonError> {
        match value {
            Value::String(text) => Ok(text.parse::<Self>()?),
            Value::Object(_) => read_nai_form(Object::of(value)?),
            _ => Err(JsonReason::Expected("an asset").into()),
        }
    }

    fn to_json(&self, style: JsonStyle) -> Value {
        match style.form {
            JsonForm::Legacy => self.to_string().into(),
            JsonForm::Hf26 => json!({
                "amount": self.amount.to_string(),
                "precision": self.symbol.precision(),
                "nai": self.symbol.nai(),
            }),
        }
    }

    fn pack(&self, to: &mut Packer) {
        to.raw(&self.amount.to_le_bytes());
        match to.pack {
            Pack::Legacy => {
                to.raw(&[self.symbol.precision()]);
                to.raw(self.symbol.packed_name());
            }
            Pack::Hf26 => to.raw(&self.symbol.packed_nai().to_le_bytes()),
        }
    }

    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, DecodeError> {
        let amount = i64::from_le_bytes(from.array()?);
        let mut symbols = AssetSymbol::ALL.into_iter();
        let symbol = match from.pack {
            Pack::Legacy => {
                let (precision, name) = (from.byte()?, from.array()?);
                symbols
                    .find(|symbol| *symbol.packed_name() == name && symbol.precision() == precision)
            }
            Pack::Hf26 => {
                let packed = u32::from_le_bytes(from.array()?);
                symbols.find(|symbol| symbol.packed_nai() == packed)
            }
        };
        match symbol {
            Some(symbol) => Ok(Self { amount, symbol }),
            None => from.fail(DecodeReason::Symbol),
        }
    }
}

fn read_nai_form(object: Object<'_>) -> Result<Asset, JsonError> {
    let symbol = object.read("nai", |value| {
        let nai = text(value)?;
        let symbol = AssetSymbol::ALL.into_iter().find(|symbol| symbol.nai() == nai);
        symbol.ok_or_else(|| AssetError::Nai(Excerpt::of(nai)).into())
    })?;
    object.read("precision", |value| {
        let found = whole(value, "a whole number from 0 to 255")?;
        let expected = symbol.precision();
        if found != expected {
            return Err(AssetError::Precision { found, expected }.into());
        }
        Ok(())
    })?;
    let amount = object.read("amount", |value| {
        let amount = text(value)?;
        let digits = amount.strip_prefix('-').unwrap_or(amount);
        let refuse = || JsonError::from(AssetError::Amount(Excerpt::of(amount)));
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(refuse());
        }
        amount.parse().map_err(|_| refuse())
    })?;
    Ok(Asset { amount, symbol })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("1.000")]
    #[case("1.000  HIVE")]
    #[case("1.000 hive")]
    #[case("1.000 STEEM")]
    #[case("1.00 HIVE")]
    #[case("1.0000 HBD")]
    #[case("1.000 VESTS")]
    #[case("1 HIVE")]
    #[case(".000 HIVE")]
    #[case("+1.000 HIVE")]
    #[case("1,000 HIVE")]
    #[case("--1.000 HIVE")]
    #[case("1.-00 HIVE")]
    #[case("9223372036854775.808 HIVE")]
    #[case("1.000 HIVE ")]
    fn a_text_that_is_no_amount_is_refused(#[case] text: &str) {
        assert!(text.parse::<Asset>().is_err());
    }

    #[rstest]
    #[case(AssetSymbol::Hbd, [0x03, 0x20, 0xbc, 0xbe])]
    #[case(AssetSymbol::Hive, [0x23, 0x20, 0xbc, 0xbe])]
    #[case(AssetSymbol::Vests, [0x46, 0x20, 0xbc, 0xbe])]
    fn the_symbols_of_the_newer_pack_are_the_known_constants(
        #[case] symbol: AssetSymbol,
        #[case] bytes: [u8; 4],
    ) {
        assert_eq!(symbol.packed_nai().to_le_bytes(), bytes);
    }

    #[test]
    fn an_object_with_the_precision_of_another_currency_is_refused() {
        let value = json!({ "amount": "1", "precision": 6, "nai": "@@000000021" });
        let error = Asset::read_json(&value, &KeyPrefix::STM).unwrap_err();
        assert_eq!(error.to_string(), "precision: precision 6, 3 expected");
    }

    fn any_asset() -> impl Strategy<Value = Asset> {
        (any::<i64>(), 0..3_usize)
            .prop_map(|(amount, index)| Asset { amount, symbol: AssetSymbol::ALL[index] })
    }

    proptest! {
        #[test]
        fn amounts_survive_their_text_both_json_forms_and_both_packs(asset in any_asset()) {
            prop_assert_eq!(asset.to_string().parse(), Ok(asset));
            for form in [JsonForm::Hf26, JsonForm::Legacy] {
                let style = JsonStyle { form, prefix: KeyPrefix::STM };
                let json = asset.to_json(style);
                prop_assert_eq!(Asset::read_json(&json, &KeyPrefix::STM), Ok(asset));
            }
            for pack in [Pack::Hf26, Pack::Legacy] {
                let mut to = Packer::new(pack);
                asset.pack(&mut to);
                prop_assert_eq!(Asset::unpack(&mut Unpacker::new(&to.bytes, pack)), Ok(asset));
            }
        }
    }
}
