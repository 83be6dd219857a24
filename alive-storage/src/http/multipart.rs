//! Multipart forms for uploads: a few fields with names of our own, so that nothing in them needs escaping.
//!
//! The client's own forms are not used: they bring a table of media types along, and guess by it.

use bytes::Bytes;
use data_encoding::HEXLOWER;

use super::HttpError;
use alive_core::backend::Cause;

/// A form that is ready to be sent.
#[derive(Debug)]
pub(crate) struct Form {
    /// Value of the `Content-Type` header.
    pub(crate) content_type: String,
    /// The body.
    pub(crate) body: Bytes,
}

/// A field of a form.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Field<'a> {
    /// A file: its field's name, its own, its media type, its content.
    File { name: &'static str, file: &'static str, media_type: &'static str, data: &'a [u8] },
    /// A text. It is not escaped: the caller knows that it has no line ends.
    Text { name: &'static str, value: &'a str },
}

impl Form {
    /// Joins fields behind a boundary that no content can foresee.
    pub(crate) fn new(fields: &[Field<'_>]) -> Result<Self, HttpError> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|e| HttpError::Transport(Cause::from(e)))?;
        Ok(Self::with_boundary(&format!("alive-{}", HEXLOWER.encode(&random)), fields))
    }

    fn with_boundary(boundary: &str, fields: &[Field<'_>]) -> Self {
        let content = fields.iter().map(|field| match field {
            Field::File { data, .. } => data.len(),
            Field::Text { value, .. } => value.len(),
        });
        let mut body = Vec::with_capacity(content.sum::<usize>() + 256 * (fields.len() + 1));
        for field in fields {
            let (head, content) = match field {
                Field::File { name, file, media_type, data } => (
                    format!("name=\"{name}\"; filename=\"{file}\"\r\nContent-Type: {media_type}"),
                    *data,
                ),
                Field::Text { name, value } => (format!("name=\"{name}\""), value.as_bytes()),
            };
            let head = format!("--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n");
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        Self {
            content_type: format!("multipart/form-data; boundary={boundary}"),
            body: body.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_written_as_rfc_7578_says() {
        let file =
            Field::File { name: "file", file: "a.ts", media_type: "video/mp2t", data: b"\r\n--B" };
        let form =
            Form::with_boundary("B", &[file, Field::Text { name: "streamId", value: "x-1" }]);
        assert_eq!(form.content_type, "multipart/form-data; boundary=B");
        let want = "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.ts\"\r\n\
            Content-Type: video/mp2t\r\n\r\n\r\n--B\r\n--B\r\n\
            Content-Disposition: form-data; name=\"streamId\"\r\n\r\nx-1\r\n--B--\r\n";
        assert_eq!(form.body, want);
    }

    #[test]
    fn no_two_forms_have_the_same_boundary() {
        let type_of = || Form::new(&[]).unwrap().content_type;
        assert_ne!(type_of(), type_of());
    }
}
