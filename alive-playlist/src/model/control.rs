//! What a server offers to who reloads a list: [`ServerControl`].

use crate::time::MediaDuration;

/// `EXT-X-SERVER-CONTROL`. The default offers nothing, and no tag is written.
/// Source: `spec/hls.md`, section 7.
///
/// ```
/// use alive_playlist::MediaPlaylist;
/// let text = "#EXTM3U\n#EXT-X-TARGETDURATION:12\n#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=72.0\n";
/// let list = MediaPlaylist::read(text.as_bytes())?;
/// let offered = list.header().server_control;
/// assert!(offered.can_block_reload);
/// assert_eq!(offered.can_skip_until, Some("72".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ServerControl {
    /// Whether it holds an answer back until the list has a segment: `CAN-BLOCK-RELOAD`.
    pub can_block_reload: bool,
    /// Segments that end more than this before the end of the list can be left out of an answer: `CAN-SKIP-UNTIL`.
    pub can_skip_until: Option<MediaDuration>,
    /// How far from the end of the list players should stay: `HOLD-BACK`.
    pub hold_back: Option<MediaDuration>,
    /// How far from the end of the list players that fetch parts should stay: `PART-HOLD-BACK`.
    pub part_hold_back: Option<MediaDuration>,
}
