//! What a key of the graph holds: [`Value`], [`Number`], [`State`].

use std::cmp::Ordering;

use crate::json::{Json, Object, Text, cmp_units, print_number, print_text};

/// A finite double. `-0` is `0`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number(f64);

impl Number {
    /// The number, if it is finite.
    pub fn new(number: f64) -> Option<Self> {
        // Adding zero makes `-0` zero.
        number.is_finite().then_some(Self(number + 0.0))
    }

    /// The double.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl Eq for Number {}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// When a value was written, by its writer's clock: milliseconds since 1970, with a fraction that counts the writes
/// within one. Source: `spec/alivedb.md`, "Data model".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct State(Number);

impl State {
    /// The first moment.
    pub const ZERO: Self = Self(Number(0.0));

    /// A state of so many milliseconds, if that is finite.
    pub fn new(millis: f64) -> Option<Self> {
        Number::new(millis).map(Self)
    }

    /// Milliseconds since 1970.
    pub fn millis(self) -> f64 {
        self.0.get()
    }
}

/// What a key holds.
///
/// ```
/// use alive_db::{gun::Value, json::Json};
/// let link = Value::from_json(&Json::parse(r##"{"#":"room/obj"}"##)?)?;
/// assert_eq!(link, Value::Link("room/obj".into()));
/// assert!(Value::from_json(&Json::parse("[1]")?).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "GUN has these and no others")]
pub enum Value {
    /// `true` or `false`
    Bool(bool),
    /// `{"#":"soul"}`: the node of this soul, which is not empty.
    Link(Text),
    /// `null`: deleted.
    Null,
    /// A number.
    Number(Number),
    /// A text; in user space the signed wrapper.
    Text(Text),
}

impl Value {
    /// Reads a value.
    ///
    /// # Errors
    /// It is an array, an object that is no link, or a number beyond a double.
    pub fn from_json(json: &Json) -> Result<Self, ValueError> {
        Ok(match json {
            Json::Array(_) => return Err(ValueError::Array),
            Json::Bool(value) => Self::Bool(*value),
            Json::Null => Self::Null,
            Json::Number(number) => Self::Number(Number::new(*number).ok_or(ValueError::Number)?),
            Json::Object(object) => match (object.len(), object.member("#")) {
                (1, Some(Json::Text(soul))) if !soul.is_empty() => Self::Link(soul.clone()),
                _ => return Err(ValueError::Object),
            },
            Json::Text(text) => Self::Text(text.clone()),
        })
    }

    /// The value as JSON.
    pub fn to_json(&self) -> Json {
        match self {
            Self::Bool(value) => Json::Bool(*value),
            Self::Link(soul) => Json::Object(Object::from_iter([("#", Json::Text(soul.clone()))])),
            Self::Null => Json::Null,
            Self::Number(number) => Json::Number(number.get()),
            Self::Text(text) => Json::Text(text.clone()),
        }
    }

    /// Appends its JSON text.
    pub fn print_to(&self, out: &mut String) {
        match self {
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Link(soul) => {
                out.push_str("{\"#\":");
                print_text(soul, out);
                out.push('}');
            }
            Self::Null => out.push_str("null"),
            Self::Number(number) => print_number(number.get(), out),
            Self::Text(text) => print_text(text, out),
        }
    }

    /// The order that decides between two values of one state: that of their JSON texts, by UTF-16 code units.
    pub fn rank(&self, other: &Self) -> Ordering {
        if self == other {
            return Ordering::Equal;
        }
        let (mut a, mut b) = (String::new(), String::new());
        self.print_to(&mut a);
        other.print_to(&mut b);
        cmp_units(a.as_bytes(), b.as_bytes())
    }

    /// Bytes of text that it holds.
    pub fn weight(&self) -> usize {
        match self {
            Self::Link(text) | Self::Text(text) => text.len(),
            Self::Bool(_) | Self::Null | Self::Number(_) => 0,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

/// Why JSON is no [`Value`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// An array.
    #[error("an array is no value of a graph")]
    Array,
    /// A number beyond a double.
    #[error("the number is beyond a double")]
    Number,
    /// An object that is no link.
    #[error("an object is no value of a graph, unless it is a link {{\"#\":soul}}")]
    Object,
}
