//! The tags of a multivariant list. Only the renditions themselves are kept.

use alive_core::Excerpt;

use super::{
    attributes::{Attributes, form},
    error::{AttributeProblem, Problem},
    integer,
};
use crate::{
    decimal::is_decimal,
    line_text::{FrameRate, Quoted, Uri},
    model::{MultivariantPlaylist, Resolution, Variant},
};

const STREAM_INF: &str = "EXT-X-STREAM-INF";

/// Whether a tag makes the list a multivariant list. Source: `spec/hls.md`, section 12.
pub(super) fn is_tag(name: &str) -> bool {
    matches!(
        name,
        "#EXT-X-CONTENT-STEERING"
            | "#EXT-X-I-FRAME-STREAM-INF"
            | "#EXT-X-MEDIA"
            | "#EXT-X-SESSION-DATA"
            | "#EXT-X-SESSION-KEY"
            | "#EXT-X-STREAM-INF"
    )
}

/// Collects a multivariant list.
#[derive(Default)]
pub(super) struct MultivariantReader<'a> {
    next: Option<StreamInf<'a>>,
    variants: Vec<Variant<'a>>,
}

/// A variant that waits for its URI.
struct StreamInf<'a> {
    bandwidth: u64,
    average_bandwidth: Option<u64>,
    codecs: Option<Quoted<'a>>,
    resolution: Option<Resolution>,
    frame_rate: Option<FrameRate<'a>>,
}

impl<'a> MultivariantReader<'a> {
    pub(super) fn take_stream_inf(&mut self, value: &'a str) -> Result<(), Problem> {
        match self.next.replace(StreamInf::parse(value)?) {
            None => Ok(()),
            Some(_) => Err(Problem::StreamInfWithoutUri),
        }
    }

    pub(super) fn take_uri(&mut self, uri: &'a str) -> Result<(), Problem> {
        let Some(next) = self.next.take() else {
            return Err(Problem::UriWithoutStreamInf(Excerpt::of(uri)));
        };
        if self.variants.len() >= MultivariantPlaylist::MAX_VARIANTS {
            return Err(Problem::Variants);
        }
        self.variants.push(Variant {
            uri: Uri::as_read(uri),
            bandwidth: next.bandwidth,
            average_bandwidth: next.average_bandwidth,
            codecs: next.codecs,
            resolution: next.resolution,
            frame_rate: next.frame_rate,
        });
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Vec<Variant<'a>>, Problem> {
        match self.next {
            None => Ok(self.variants),
            Some(_) => Err(Problem::StreamInfWithoutUri),
        }
    }
}

impl<'a> StreamInf<'a> {
    fn parse(value: &'a str) -> Result<Self, Problem> {
        let broken = |problem| Problem::attribute(STREAM_INF, problem);
        let attributes = Attributes::parse(value).map_err(broken)?;
        let plain = |name| attributes.plain(name).map_err(broken);
        let bandwidth = plain("BANDWIDTH")?;
        let bandwidth = bandwidth.ok_or_else(|| broken(AttributeProblem::Missing("BANDWIDTH")))?;
        let average = plain("AVERAGE-BANDWIDTH")?;
        let frame_rate = plain("FRAME-RATE")?;
        if let Some(text) = frame_rate.filter(|text| !is_decimal(text)) {
            return Err(broken(form("FRAME-RATE", text, "digits, or digits, a point and digits")));
        }
        Ok(Self {
            bandwidth: integer("BANDWIDTH", bandwidth)?,
            average_bandwidth: average.map(|n| integer("AVERAGE-BANDWIDTH", n)).transpose()?,
            codecs: attributes.quoted("CODECS").map_err(broken)?.map(Quoted::as_read),
            resolution: plain("RESOLUTION")?.map(resolution).transpose()?,
            frame_rate: frame_rate.map(FrameRate::as_read),
        })
    }
}

fn resolution(text: &str) -> Result<Resolution, Problem> {
    let broken = || Problem::attribute(STREAM_INF, form("RESOLUTION", text, "WIDTHxHEIGHT"));
    let (width, height) = text.split_once('x').ok_or_else(broken)?;
    Ok(Resolution {
        width: integer("width of RESOLUTION", width)?,
        height: integer("height of RESOLUTION", height)?,
    })
}
