//! JSON-RPC 2.0 as hived speaks it: requests read one by one or as a batch, answers, and errors ([`Fault`]).
//!
//! Source: `spec/hive.md`, sections 6 and 6.1.

#[cfg(feature = "devnet")]
use serde_json::Map;
use serde_json::{Value, json};

/// Codes of JSON-RPC errors. Source: `spec/hive.md`, section 6.1.
const PARSE: i64 = -32_700;
const INVALID_REQUEST: i64 = -32_600;
const UNKNOWN_METHOD: i64 = -32_601;
const SERVER: i64 = -32_000;
#[cfg(feature = "forward")]
const INTERNAL: i64 = -32_603;
const NO_PARAMS: i64 = -32_001;
const BAD_PARAMS: i64 = -32_002;
#[cfg(feature = "devnet")]
const CALL_FAILED: i64 = -32_003;

/// What a client sent.
#[derive(Debug)]
pub(crate) enum Incoming {
    Batch(Vec<Request>),
    Single(Request),
}

/// One request: what it asks, or why it is none.
#[derive(Debug)]
pub(crate) struct Request {
    /// Copied into the answer; null if it had none that can be.
    pub(crate) id: Value,
    pub(crate) call: Result<Call, Fault>,
}

/// A method and its parameters.
#[derive(Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) api: String,
    pub(crate) method: String,
    pub(crate) params: Value,
}

impl Incoming {
    /// Reads the body of a request; a batch has at most `max_batch`. Whatever it is, there is an answer.
    pub(crate) fn read(body: &[u8], max_batch: usize) -> Self {
        match serde_json::from_slice(body) {
            Ok(Value::Array(items)) if items.is_empty() => {
                Self::refused(INVALID_REQUEST, "an empty batch is no request")
            }
            Ok(Value::Array(items)) if items.len() > max_batch => {
                Self::refused(INVALID_REQUEST, &format!("a batch takes {max_batch} requests"))
            }
            Ok(Value::Array(items)) => Self::Batch(items.into_iter().map(Request::read).collect()),
            Ok(request) => Self::Single(Request::read(request)),
            Err(error) => Self::refused(PARSE, &format!("not JSON: {error}")),
        }
    }

    fn refused(code: i64, message: &str) -> Self {
        Self::Single(Request { id: Value::Null, call: Err(Fault::plain(code, message)) })
    }
}

impl Request {
    fn read(request: Value) -> Self {
        let Value::Object(mut members) = request else {
            return Self { id: Value::Null, call: invalid("a request is an object") };
        };
        let id = match members.remove("id") {
            Some(id) if id.is_string() || id.is_i64() || id.is_u64() => id,
            None => Value::Null,
            Some(_) => {
                let call = invalid("only integer value or string is allowed for member \"id\"");
                return Self { id: Value::Null, call };
            }
        };
        if members.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
            return Self { id, call: invalid("jsonrpc value is not \"2.0\"") };
        }
        let Some(Value::String(method)) = members.remove("method") else {
            return Self { id, call: invalid("method is missing or no string") };
        };
        Self { id, call: Call::read(&method, members.remove("params")) }
    }

    /// The whole answer.
    pub(crate) fn answer(id: &Value, result: &Result<String, Fault>) -> String {
        match result {
            Ok(result) => format!(r#"{{"jsonrpc":"2.0","result":{result},"id":{id}}}"#),
            Err(fault) => {
                format!(r#"{{"jsonrpc":"2.0","error":{},"id":{id}}}"#, fault.to_json())
            }
        }
    }
}

fn invalid(message: &str) -> Result<Call, Fault> {
    Err(Fault::plain(INVALID_REQUEST, message))
}

impl Call {
    /// Resolves `api.method` and the older `call` with both names among its parameters.
    fn read(method: &str, params: Option<Value>) -> Result<Self, Fault> {
        let Some(params) = params else {
            return Err(Fault::plain(NO_PARAMS, "member \"params\" is missing"));
        };
        if method == "call" {
            return Self::unwrap(params);
        }
        let Some((api, method)) = method.split_once('.') else {
            return Err(Fault::plain(UNKNOWN_METHOD, "method is not of the form api.method"));
        };
        Ok(Self { api: api.into(), method: method.into(), params })
    }

    fn unwrap(params: Value) -> Result<Self, Fault> {
        let refuse = || Fault::bad_params("\"call\" takes an API, a method and its parameters");
        let Value::Array(params) = params else { return Err(refuse()) };
        let mut params = params.into_iter();
        match (params.next(), params.next(), params.next(), params.next()) {
            (Some(Value::String(api)), Some(Value::String(method)), inner, None) => {
                let params = inner.unwrap_or_else(|| Value::Array(Vec::new()));
                Ok(Self { api, method, params })
            }
            _ => Err(refuse()),
        }
    }
}

/// An error of JSON-RPC.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fault {
    code: i64,
    message: String,
    data: Option<Value>,
}

impl Fault {
    fn plain(code: i64, message: &str) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// The parameters are not those of the method.
    pub(crate) fn bad_params(message: &str) -> Self {
        Self::plain(BAD_PARAMS, message)
    }

    /// There is no such API or method.
    pub(crate) fn unknown_method(api: &str, method: &str) -> Self {
        let name = alive_core::Excerpt::of(&format!("{api}.{method}")).to_string();
        Self::plain(UNKNOWN_METHOD, &format!("could not find method {name}"))
    }

    /// What a node said, as it said it.
    #[cfg(feature = "forward")]
    pub(crate) fn told(mut error: Value) -> Self {
        let code = error.get("code").and_then(Value::as_i64).unwrap_or(SERVER);
        let message = error.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
        Self { code, message, data: error.get_mut("data").map(Value::take) }
    }

    /// Nobody can answer now; the same may be asked again.
    #[cfg(feature = "forward")]
    pub(crate) fn unavailable(message: &str) -> Self {
        Self::plain(INTERNAL, message)
    }

    /// The caller may not ask here.
    #[cfg(feature = "forward")]
    pub(crate) fn refused(message: &str) -> Self {
        Self::plain(INVALID_REQUEST, message)
    }

    pub(crate) fn to_json(&self) -> String {
        let mut error = json!({ "code": self.code, "message": self.message });
        if let (Some(error), Some(data)) = (error.as_object_mut(), &self.data) {
            error.insert("data".into(), data.clone());
        }
        error.to_string()
    }
}

#[cfg(feature = "devnet")]
impl Fault {
    /// An error of the tester's choice.
    pub(crate) fn chosen(code: i64, message: &str) -> Self {
        Self::plain(code, message)
    }

    /// The node itself failed.
    pub(crate) fn server(message: &str) -> Self {
        Self::plain(SERVER, message)
    }

    /// hived's own exception: code, name, its general words, and what happened, with names such as `${id}` for the
    /// members of `data`. The whole text is that of hived, too: the words, a colon, and what happened with its data.
    pub(crate) fn exception(
        code: i64,
        name: &str,
        general: &str,
        format: &str,
        values: &Map<String, Value>,
    ) -> Self {
        let context = json!({
            "level": "error", "file": "devnet", "line": 0, "method": "call", "hostname": "",
            "thread_name": "", "timestamp": "1970-01-01T00:00:00",
        });
        let stack = json!([{ "context": context, "format": format, "data": values }]);
        let data = json!({ "code": code, "name": name, "message": general, "stack": stack });
        let message = format!("{general}:{}", filled(format, values));
        Self { code: CALL_FAILED, message, data: Some(data) }
    }

    /// An assertion of the method that does not hold.
    pub(crate) fn assertion(format: &str) -> Self {
        Self::exception(10, "assert_exception", "Assert Exception", format, &Map::new())
    }
}

/// A text with the values in place of their names.
#[cfg(feature = "devnet")]
fn filled(format: &str, values: &Map<String, Value>) -> String {
    let mut text = format.to_owned();
    for (name, value) in values {
        let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        text = text.replace(&format!("${{{name}}}"), &shown);
    }
    text
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const MAX_BATCH: usize = 1000;

    fn single(body: &str) -> Request {
        match Incoming::read(body.as_bytes(), MAX_BATCH) {
            Incoming::Single(request) => request,
            Incoming::Batch(_) => panic!("a batch"),
        }
    }

    #[rstest]
    #[case("", PARSE)]
    #[case("{", PARSE)]
    #[case("[]", INVALID_REQUEST)]
    #[case("null", INVALID_REQUEST)]
    #[case(r#"{"method":"a.b","params":[],"id":1}"#, INVALID_REQUEST)]
    #[case(r#"{"jsonrpc":"1.0","method":"a.b","params":[],"id":1}"#, INVALID_REQUEST)]
    #[case(r#"{"jsonrpc":"2.0","params":[],"id":1}"#, INVALID_REQUEST)]
    #[case(r#"{"jsonrpc":"2.0","method":1,"params":[],"id":1}"#, INVALID_REQUEST)]
    #[case(r#"{"jsonrpc":"2.0","method":"a.b","params":[],"id":1.5}"#, INVALID_REQUEST)]
    #[case(r#"{"jsonrpc":"2.0","method":"a.b","params":[],"id":[]}"#, INVALID_REQUEST)]
    #[case(r#"{"jsonrpc":"2.0","method":"a.b","id":1}"#, NO_PARAMS)]
    #[case(r#"{"jsonrpc":"2.0","method":"ab","params":[],"id":1}"#, UNKNOWN_METHOD)]
    #[case(r#"{"jsonrpc":"2.0","method":"call","params":["a"],"id":1}"#, BAD_PARAMS)]
    #[case(r#"{"jsonrpc":"2.0","method":"call","params":{},"id":1}"#, BAD_PARAMS)]
    #[case(r#"{"jsonrpc":"2.0","method":"call","params":[1,"b",[]],"id":1}"#, BAD_PARAMS)]
    fn what_is_no_request_gets_the_code_for_it(#[case] body: &str, #[case] code: i64) {
        assert_eq!(single(body).call.unwrap_err().code, code);
    }

    #[test]
    fn nesting_without_end_is_refused_by_the_parser() {
        let body = "[".repeat(100_000);
        assert_eq!(single(&body).call.unwrap_err().code, PARSE);
    }

    #[test]
    fn the_older_call_names_the_same_method() {
        let new = single(r#"{"jsonrpc":"2.0","method":"a.b","params":[1],"id":"x"}"#);
        let old = single(r#"{"jsonrpc":"2.0","method":"call","params":["a","b",[1]],"id":"x"}"#);
        assert_eq!(new.id, "x");
        assert_eq!(new.call.unwrap(), old.call.unwrap());
    }

    #[test]
    fn a_batch_keeps_its_order_and_judges_each_request() {
        let body = r#"[{"jsonrpc":"2.0","method":"a.b","params":[],"id":0},7]"#;
        let Incoming::Batch(requests) = Incoming::read(body.as_bytes(), MAX_BATCH) else {
            panic!("single")
        };
        assert!(requests[0].call.is_ok());
        assert!(requests[1].call.is_err());
        let many = format!("[{}7]", "7,".repeat(MAX_BATCH));
        assert_eq!(single(&many).call.unwrap_err().code, INVALID_REQUEST);
    }
}
