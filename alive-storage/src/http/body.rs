//! Reading the body of an answer: no more bytes than were agreed, no slower than was agreed.

use std::{sync::Arc, time::Duration};

use alive_core::Excerpt;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use reqwest::{
    Body, Response, StatusCode,
    header::{AsHeaderName, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap},
};
use tokio::time::{Instant, timeout_at};

use super::{ERROR_BYTES, HttpError, HttpOptions, retry_after};

/// Room that is made at once for a body, whatever length it announces.
const MOST_AT_ONCE: usize = 1 << 20;

/// An answer whose head has come.
#[derive(Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    trailers: Option<HeaderMap>,
    body: Body,
    pace: Pace,
}

impl Answer {
    pub(super) fn new(answer: Response, options: Arc<HttpOptions>) -> Self {
        let (status, headers) = (answer.status(), answer.headers().clone());
        let pace = Pace { started: Instant::now(), received: 0, options };
        Self { status, headers, trailers: None, body: Body::from(answer), pace }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// A header, if it is text.
    pub(crate) fn header(&self, name: impl AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A header that came behind the body.
    pub(crate) fn trailer(&self, name: &str) -> Option<&str> {
        self.trailers.as_ref()?.get(name)?.to_str().ok()
    }

    /// Whether it says that it is of a media type, whatever its parameters.
    pub(crate) fn is_type(&self, media_type: &str) -> bool {
        let value = self.header(CONTENT_TYPE).unwrap_or_default();
        let name = value.split(';').next().unwrap_or_default().trim();
        name.eq_ignore_ascii_case(media_type)
    }

    /// The next piece, or `None` at the end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, HttpError> {
        loop {
            let frame = timeout_at(self.pace.deadline(), self.body.frame()).await;
            let slow = |_| HttpError::Slow { received: self.pace.received };
            let Some(frame) = frame.map_err(slow)? else { return Ok(None) };
            match frame.map_err(HttpError::transport)?.into_data() {
                Ok(data) => {
                    self.pace.received += data.len() as u64;
                    if !data.is_empty() {
                        return Ok(Some(data));
                    }
                }
                Err(frame) => self.trailers = frame.into_trailers().ok().or(self.trailers.take()),
            }
        }
    }

    /// The whole body, if it has at most `limit` bytes. Behind them not a piece is asked for.
    pub(crate) async fn read(&mut self, limit: usize) -> Result<Bytes, HttpError> {
        let announced = self.header(CONTENT_LENGTH).and_then(|len| len.parse::<u64>().ok());
        if announced.is_some_and(|len| len > limit as u64) {
            return Err(HttpError::TooLarge { limit });
        }
        let room = announced.and_then(|len| usize::try_from(len).ok()).unwrap_or(0);
        let mut body = BytesMut::with_capacity(room.min(MOST_AT_ONCE));
        while let Some(piece) = self.chunk().await? {
            if piece.len() > limit - body.len() {
                return Err(HttpError::TooLarge { limit });
            }
            body.extend_from_slice(&piece);
        }
        Ok(body.freeze())
    }

    /// The body as JSON of at most `limit` bytes.
    pub(crate) async fn json<T: serde::de::DeserializeOwned>(
        &mut self,
        limit: usize,
    ) -> Result<T, HttpError> {
        let body = self.read(limit).await?;
        serde_json::from_slice(&body).map_err(|error| HttpError::answer(error.to_string()))
    }

    /// The error that it is, with what it says.
    pub(crate) async fn into_error(mut self) -> HttpError {
        let text = self.error_text().await;
        let (status, retry_after) = (self.status.as_u16(), retry_after(&self.headers));
        HttpError::Status { status, message: Excerpt::of(text.trim()), retry_after }
    }

    /// The start of the body, however it ends.
    pub(crate) async fn error_text(&mut self) -> String {
        let mut text = BytesMut::new();
        while let Ok(Some(piece)) = self.chunk().await {
            let room = ERROR_BYTES - text.len();
            text.extend_from_slice(piece.get(..room).unwrap_or(&piece));
            if text.len() >= ERROR_BYTES {
                break;
            }
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}

/// How much of a body has come, and until when more must.
#[derive(Debug)]
struct Pace {
    started: Instant,
    received: u64,
    options: Arc<HttpOptions>,
}

impl Pace {
    fn deadline(&self) -> Instant {
        let time = self.options.grace.saturating_add(self.options.time_for(self.received));
        // A day is for ever here, and cannot overflow.
        self.started + time.min(Duration::from_hours(24))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_gets_time_by_what_has_come_of_it() {
        let options = HttpOptions::default().grace(Duration::from_secs(1)).min_rate(1000);
        let mut pace = Pace { started: Instant::now(), received: 0, options: Arc::new(options) };
        assert_eq!(pace.deadline() - pace.started, Duration::from_secs(1));
        pace.received = 2500;
        assert_eq!(pace.deadline() - pace.started, Duration::from_millis(3500));
        pace.received = u64::MAX;
        assert_eq!(pace.deadline() - pace.started, Duration::from_hours(24));
    }
}
