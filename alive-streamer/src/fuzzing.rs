//! Fuzz bodies, shared by the fuzz targets and the property tests.

use alive_core::StreamId;

/// Reads `data` as a journal, and as a journal whose checksums are right.
///
/// # Panics
/// When reading breaks one of its promises.
pub fn journal(data: &[u8]) {
    let Ok(stream) = "hive/alice/s".parse::<StreamId>() else { return };
    crate::journal::check_bytes(data, &stream);
    crate::journal::check_lines(data, &stream);
}

/// Reads `data` as the text that names a segment's file in a journal.
///
/// # Panics
/// When a text that is taken does not come back.
pub fn source(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(source) = text.parse::<crate::source::Source>() else { return };
    let again = source.to_string().parse();
    assert!(again.is_ok_and(|again: crate::source::Source| again == source), "printed wrongly");
}
