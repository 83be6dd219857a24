//! Answers in JSON: [`Answer`].

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::json::{Json, Object};

/// A status and a JSON body.
#[derive(Debug)]
pub(super) struct Answer(StatusCode, Json);

impl Answer {
    pub(super) fn ok(body: Json) -> Self {
        Self(StatusCode::OK, body)
    }

    /// `{"success":true}`
    pub(super) fn success() -> Self {
        Self::ok(object([("success", Json::Bool(true))]))
    }

    /// `{"success":false,"error":text}`
    pub(super) fn failure(text: &str) -> Self {
        let error = Json::Text(text.into());
        let body = object([("success", Json::Bool(false)), ("error", error)]);
        Self(StatusCode::BAD_REQUEST, body)
    }

    /// `{"error":text}`
    pub(super) fn error(status: StatusCode, text: &str) -> Self {
        Self(status, object([("error", Json::Text(text.into()))]))
    }

    pub(super) fn bad(text: &str) -> Self {
        Self::error(StatusCode::BAD_REQUEST, text)
    }

    pub(super) fn unauthorized(body: Json) -> Self {
        Self(StatusCode::UNAUTHORIZED, object([("error", body)]))
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8")),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        let mut response = (self.0, headers, self.1.print()).into_response();
        if self.0 == StatusCode::TOO_MANY_REQUESTS {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

pub(super) fn object<const N: usize>(members: [(&str, Json); N]) -> Json {
    Json::Object(Object::from_iter(members))
}
