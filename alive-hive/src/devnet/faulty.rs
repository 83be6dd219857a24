//! Answers that are wrong on purpose ([`faulty`]).

use std::{convert::Infallible, io, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{
        StatusCode,
        header::{CONTENT_LENGTH, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use futures_util::stream::{self, Stream};
use tokio_util::sync::CancellationToken;

use super::switches::AnswerFault;

/// What is no JSON, no text and no page.
const GARBAGE: &[u8] = &[0xff, 0x00, 0xfe, b'{', 0x80, b'"', 0xc3, 0x28, 0x1b, b']', 0x00, 0xf8];

/// Does to an answer what the fault says. Waits end when the node stops.
pub(super) async fn faulty(fault: AnswerFault, body: String, stop: &CancellationToken) -> Response {
    let json = |body: Body| ([(CONTENT_TYPE, "application/json")], body).into_response();
    match fault {
        AnswerFault::Delay { millis } => {
            pause(AnswerFault::wait(millis), stop).await;
            json(body.into())
        }
        AnswerFault::Drip { bytes, millis } => {
            let pieces = drip(body.into(), bytes, AnswerFault::wait(millis), stop.clone());
            json(Body::from_stream(pieces))
        }
        // It stood in for the result already.
        AnswerFault::Error { .. } => json(body.into()),
        AnswerFault::Garbage => json(Body::from(GARBAGE)),
        AnswerFault::Html { status } => {
            let page = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>";
            let status = status_or(status, StatusCode::OK);
            (status, [(CONTENT_TYPE, "text/html")], page).into_response()
        }
        AnswerFault::Lost => cut(&body.into(), 0),
        AnswerFault::Status { status } => {
            let status = status_or(status, StatusCode::INTERNAL_SERVER_ERROR);
            (status, status.canonical_reason().unwrap_or("fault")).into_response()
        }
        AnswerFault::Truncated { bytes } => cut(&body.into(), bytes),
    }
}

async fn pause(time: Duration, stop: &CancellationToken) {
    stop.run_until_cancelled(tokio::time::sleep(time)).await;
}

/// The body in pieces with a wait before each but the first.
fn drip(
    body: Bytes,
    bytes: u32,
    wait: Duration,
    stop: CancellationToken,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let size = usize::try_from(bytes).unwrap_or(usize::MAX).max(1);
    stream::unfold((body, true), move |(mut rest, is_first)| {
        let stop = stop.clone();
        async move {
            if rest.is_empty() {
                return None;
            }
            if !is_first {
                pause(wait, &stop).await;
            }
            let piece = rest.split_to(size.min(rest.len()));
            Some((Ok(piece), (rest, false)))
        }
    })
}

/// An answer of which only the first bytes come before the connection ends.
fn cut(body: &Bytes, bytes: u32) -> Response {
    let len = usize::try_from(bytes).unwrap_or(usize::MAX).min(body.len());
    let start = body.get(..len).map(Bytes::copy_from_slice).unwrap_or_default();
    let pieces = stream::iter([Ok(start), Err(io::Error::other("cut on purpose"))]);
    let headers = [
        (CONTENT_TYPE, "application/json".to_owned()),
        (CONTENT_LENGTH, (body.len() + 1).to_string()),
    ];
    (headers, Body::from_stream(pieces)).into_response()
}

fn status_or(status: u16, other: StatusCode) -> StatusCode {
    StatusCode::from_u16(status).ok().filter(|status| status.as_u16() >= 200).unwrap_or(other)
}
