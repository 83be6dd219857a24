//! The body of a request, bounded: [`read_body`].

use std::time::Duration;

use axum::{
    body::{Body, Bytes, to_bytes},
    http::StatusCode,
};
use tokio::time::timeout;

/// How long a body may take. Our own limit.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Reads a whole body of at most so many bytes, in 20 seconds.
///
/// # Errors
/// The status to answer with: 413 if there are more bytes or the connection breaks, 408 if it takes longer.
pub async fn read_body(body: Body, most: usize) -> Result<Bytes, StatusCode> {
    match timeout(TIMEOUT, to_bytes(body, most)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(_)) => Err(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}
