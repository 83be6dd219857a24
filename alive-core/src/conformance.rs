//! Golden vectors: their file format, one runner, and the [`KINDS`] that this crate knows.
//!
//! A vector file is `{"format":"alive-vectors/1","kind",…,"cases":[{"name","in","out"}]}`. A case whose `out` has
//! `error` must be refused; only that is compared.

use std::fmt::Display;

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

mod kinds;

pub use kinds::KINDS;

/// The value of `format` in every vector file.
pub const FORMAT: &str = "alive-vectors/1";

/// One kind of vectors and the check of its cases.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// The kind's name, such as `core.op`.
    pub name: &'static str,
    /// Compares what we make of `in` with `out`; the error says where they differ.
    pub check: fn(input: &Value, want: &Value) -> Result<(), String>,
}

/// One kind of vectors whose cases depend on the text of `in`: on the order of its keys, say, which [`Value`] loses.
#[derive(Clone, Copy, Debug)]
pub struct TextKind {
    /// The kind's name, such as `sea.digest`.
    pub name: &'static str,
    /// Compares what we make of the JSON text of `in` with `out`; the error says where they differ.
    pub check: fn(input: &str, want: &Value) -> Result<(), String>,
}

/// What decides the cases of one kind: [`Kind`] or [`TextKind`].
pub trait Check {
    /// The kind's name.
    fn name(&self) -> &'static str;

    /// Whether a case holds.
    ///
    /// # Errors
    /// It does not; the text says where they differ.
    fn check(&self, case: &Case) -> Result<(), String>;
}

impl Check for Kind {
    fn name(&self) -> &'static str {
        self.name
    }

    fn check(&self, case: &Case) -> Result<(), String> {
        (self.check)(&case.input, &case.want)
    }
}

impl Check for TextKind {
    fn name(&self) -> &'static str {
        self.name
    }

    fn check(&self, case: &Case) -> Result<(), String> {
        (self.check)(case.text.get(), &case.want)
    }
}

/// A file of vectors.
#[derive(Debug, Deserialize)]
pub struct VectorFile {
    /// Must be [`FORMAT`].
    pub format: String,
    /// Which [`Kind`] the cases are of.
    pub kind: String,
    /// The cases.
    pub cases: Vec<Case>,
}

/// One case of a file.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Written")]
pub struct Case {
    /// Its name, for reports.
    pub name: String,
    /// What goes in.
    pub input: Value,
    /// What goes in, as it was written.
    pub text: Box<RawValue>,
    /// What must come out.
    pub want: Value,
}

/// A case as the file has it.
#[derive(Deserialize)]
struct Written {
    name: String,
    #[serde(rename = "in")]
    text: Box<RawValue>,
    #[serde(rename = "out")]
    want: Value,
}

impl TryFrom<Written> for Case {
    type Error = serde_json::Error;

    fn try_from(Written { name, text, want }: Written) -> Result<Self, Self::Error> {
        Ok(Self { name, input: serde_json::from_str(text.get())?, text, want })
    }
}

/// What running one file gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Cases that held.
    pub passed: usize,
    /// Cases that did not: their name and the difference.
    pub failed: Vec<(String, String)>,
    /// Cases of a kind that nobody here knows.
    pub skipped: usize,
}

impl VectorFile {
    /// Reads a file's text.
    ///
    /// # Errors
    /// It is not JSON of the form above, or of another format.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: Self =
            serde_json::from_str(text).map_err(|e| format!("not a vector file: {e}"))?;
        if file.format == FORMAT {
            return Ok(file);
        }
        Err(format!("format {:?} is not {FORMAT:?}", file.format))
    }

    /// Runs every case by the kind that fits; all are skipped when none does.
    pub fn run<'a, K: Check + ?Sized + 'a>(
        &self,
        kinds: impl IntoIterator<Item = &'a K>,
    ) -> Report {
        let Some(kind) = kinds.into_iter().find(|kind| kind.name() == self.kind) else {
            return Report { skipped: self.cases.len(), ..Report::default() };
        };
        let mut report = Report::default();
        for case in &self.cases {
            match kind.check(case) {
                Ok(()) => report.passed += 1,
                Err(why) => report.failed.push((case.name.clone(), why)),
            }
        }
        report
    }
}

/// Compares an answer with the wanted one: numbers by value, and a wanted `error` by its presence only.
///
/// # Errors
/// They differ; the text shows both, shortened.
pub fn judge<E: Display>(got: Result<Value, E>, want: &Value) -> Result<(), String> {
    match (got, want.get("error")) {
        (Err(_), Some(_)) => Ok(()),
        (Ok(got), None) if equal(&got, want) => Ok(()),
        (Ok(got), None) => Err(format!("got {}, want {}", short(&got), short(want))),
        (Ok(got), Some(why)) => Err(format!("accepted as {}, must be refused: {why}", short(&got))),
        (Err(why), None) => Err(format!("refused: {why}, want {}", short(want))),
    }
}

/// Whether two JSON values are the same, `10` and `10.0` being one number.
pub fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        (a, b) => a == b,
    }
}

fn short(value: &Value) -> String {
    const LEN: usize = 400;
    let text = value.to_string();
    match text.char_indices().nth(LEN) {
        None => text,
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}
