//! `alive verify`: a stream from the chain down to every segment's bytes.

use std::path::PathBuf;

use alive_core::{
    AccountName, Chunk, ContentId, GatewayUrl, Index, Link, Pushed, Quality, Segment, Seq,
    Settings, Stream, StreamId,
    backend::{SharedStorage, Storage as _},
};
use alive_playlist::probe::{InitProbe, ProbeError, SegmentProbe, agrees, probe_ts};
use alive_storage::{DiskStorage, GatewayStorage};
use anyhow::{Context as _, bail};

use crate::{
    attested::Attested,
    chain::{Chain, ChainArgs},
    output,
};

/// Largest segment that is fetched, in bytes.
const MAX_SEGMENT_BYTES: usize = 64 << 20;
/// Largest initialisation section that is fetched, in bytes. No larger one is published.
const MAX_SECTION_BYTES: usize = 1 << 20;

/// Reads the chain, checks every block's place, follows the stream's operations, fetches every chunk and every segment,
/// and checks their bytes against their ids and their lengths against the media. Of a stream on several networks it tells
/// which segments each attests. Fails if anything does not hold.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: alive verify alice/launch --gateway http://127.0.0.1:3010")]
pub(crate) struct Args {
    /// The stream.
    #[arg(value_name = "AUTHOR/LINK", value_parser = parse_stream)]
    stream: (AccountName, Link),
    /// Gateway that serves the content; nothing it says is believed unchecked.
    #[arg(long, env = "ALIVE_GATEWAY", value_name = "URL", required_unless_present = "store")]
    gateway: Option<GatewayUrl>,
    /// Folder of a local block store that holds the content, instead of a gateway.
    #[arg(long, env = "ALIVE_STORE", value_name = "FOLDER", conflicts_with = "gateway")]
    store: Option<PathBuf>,
    /// The first block to read.
    #[arg(long, env = "ALIVE_FROM_BLOCK", default_value_t = 1)]
    from_block: u32,
    #[command(flatten)]
    chain: ChainArgs,
}

pub(crate) fn parse_stream(text: &str) -> Result<(AccountName, Link), String> {
    let (account, link) = text.rsplit_once('/').ok_or("write AUTHOR/LINK")?;
    let account = account.parse().map_err(|why| format!("{why}"))?;
    Ok((account, link.parse().map_err(|why| format!("{why}"))?))
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let (account, link) = &args.stream;
    let storage = match (&args.store, &args.gateway) {
        (Some(folder), _) => SharedStorage::new(DiskStorage::open_dir(folder)?),
        (None, Some(gateway)) => SharedStorage::new(GatewayStorage::new(gateway.clone())?),
        (None, None) => bail!("give --gateway or --store"),
    };
    let mut problems = 0;
    let mut attested = Attested::default();
    for chain in args.chain.chains()? {
        let network = chain.network();
        let index = read_chain(&args, &chain, account, link).await;
        let index = index.with_context(|| format!("network {network}"))?;
        let stream = index.stream(account, link).with_context(|| {
            let known = if index.knows(account) { "has no such stream" } else { "is not known" };
            format!("account {account} {known} on {network}")
        })?;
        let info = stream.info();
        let state = if info.ended { "ended" } else { "live" };
        let end = |seq: Option<Seq>| seq.map_or("none".to_owned(), |seq| seq.to_string());
        output::line(format_args!(
            "stream {account}/{link} on {network}: {state}, created {}, finalized {}, head {}",
            info.created,
            end(info.finalized),
            end(info.head)
        ));
        let mut tally = Tally::default();
        walk(stream, &storage, &mut tally).await;
        output::line(format_args!(
            "{} pushes, {} segments, {}, {} problems",
            tally.pushes,
            tally.segments.len(),
            output::bytes(tally.bytes),
            tally.problems
        ));
        problems += tally.problems;
        let id = StreamId::new(network.clone(), account.clone(), link.clone());
        attested.add(id, Settings::clone(&info.settings), &tally.segments);
    }
    problems += attested.report();
    if problems > 0 {
        bail!("the stream does not hold: {problems} problems");
    }
    Ok(())
}

/// What was walked over.
#[derive(Debug, Default)]
struct Tally {
    pushes: usize,
    /// Each in order.
    segments: Vec<Segment>,
    bytes: u64,
    problems: usize,
}

impl Tally {
    fn problem(&mut self, what: impl std::fmt::Display) {
        self.problems += 1;
        output::line(format_args!("PROBLEM {what}"));
    }
}

/// Follows the chain to its head and counts what concerns the stream.
async fn read_chain(
    args: &Args,
    chain: &Chain,
    account: &AccountName,
    link: &Link,
) -> anyhow::Result<Index> {
    let (mut blocks, mut accepted, mut refused) = (0_u64, 0_u64, 0_u64);
    let index = chain.index(args.from_block, |block, applied| {
        blocks += 1;
        let well_formed = block.ops.iter().filter_map(|op| op.as_ref().ok());
        for (signed, refusal) in well_formed.zip(&applied.refusals) {
            match refusal {
                _ if signed.account != *account || signed.op.link() != link => {}
                None => accepted += 1,
                Some(why) => {
                    refused += 1;
                    output::line(format_args!("block {}: refused: {why}", block.at.num));
                }
            }
        }
    });
    let index = index.await?;
    output::line(format_args!(
        "chain {}: {blocks} blocks in order, {accepted} operations of the stream accepted, {refused} refused",
        chain.network()
    ));
    Ok(index)
}

/// Every segment of a stream, in order.
///
/// # Errors
/// A chunk cannot be had or read.
pub(crate) async fn segments(
    stream: &Stream,
    storage: &SharedStorage,
) -> anyhow::Result<Vec<Segment>> {
    let mut segments = Vec::new();
    for (seq, pushed) in stream.pushes() {
        if let Some(segment) = pushed.segment() {
            segments.push(segment);
            continue;
        }
        let bytes = storage.get(&pushed.src, Chunk::MAX_BYTES).await;
        let chunk = Chunk::decode(&bytes.with_context(|| format!("push {seq}"))?)?;
        segments.extend_from_slice(chunk.segments());
    }
    Ok(segments)
}

async fn walk(stream: &Stream, storage: &SharedStorage, tally: &mut Tally) {
    let mut expected = Some(Seq::ZERO);
    let mut ruler = Ruler::default();
    for (seq, pushed) in stream.pushes() {
        tally.pushes += 1;
        if expected != Some(seq) {
            let from = expected.map_or(0, Seq::as_u16);
            tally.problem(format_args!("pushes {from} to {} are missing", seq.as_u16() - 1));
        }
        expected = seq.next();
        if let Err(why) = ruler.turn_to(pushed, storage).await {
            tally.problem(format_args!("push {seq}: initialisation section: {why:#}"));
        }
        if let Some(segment) = pushed.segment() {
            check_segment(seq, &segment, &ruler, storage, tally).await;
            continue;
        }
        match storage.get(&pushed.src, Chunk::MAX_BYTES).await {
            Err(why) => tally.problem(format_args!("push {seq}: chunk: {}", output::causes(&why))),
            Ok(bytes) => match Chunk::decode(&bytes) {
                Err(why) => tally.problem(format_args!("push {seq}: chunk {}: {why}", pushed.src)),
                Ok(chunk) if !chunk.fits(stream.info().settings.storage) => {
                    tally.problem(format_args!("push {seq}: chunk of another storage"));
                }
                Ok(chunk) => {
                    for segment in chunk.segments() {
                        check_segment(seq, segment, &ruler, storage, tally).await;
                    }
                }
            },
        }
    }
}

/// What segments are measured by: the initialisation section of their push, if they are fragments of MP4.
#[derive(Default)]
struct Ruler {
    section: Option<ContentId>,
    init: Option<InitProbe>,
}

impl Ruler {
    /// Takes the section of a push; one that names none goes on with the section before. A recorder writes one and names it
    /// for hours, so it is read where it changes.
    async fn turn_to(&mut self, pushed: &Pushed, storage: &SharedStorage) -> anyhow::Result<()> {
        let Some(section) = pushed.section(Quality::Src).copied() else { return Ok(()) };
        if Some(section) == self.section {
            return Ok(());
        }
        *self = Self { section: Some(section), init: None };
        self.init = Some(InitProbe::read(&storage.get(&section, MAX_SECTION_BYTES).await?)?);
        Ok(())
    }

    fn measure(&self, bytes: &[u8]) -> Result<SegmentProbe, ProbeError> {
        self.init.as_ref().map_or_else(|| probe_ts(bytes), |init| init.probe_fragment(bytes))
    }
}

async fn check_segment(
    seq: Seq,
    segment: &Segment,
    ruler: &Ruler,
    storage: &SharedStorage,
    tally: &mut Tally,
) {
    tally.segments.push(*segment);
    if segment.flags.gap() {
        output::line(format_args!("push {seq}: {} is marked as lost", segment.content));
        return;
    }
    let bytes = match storage.get(&segment.content, MAX_SEGMENT_BYTES).await {
        Ok(bytes) => bytes,
        Err(why) => return tally.problem(format_args!("push {seq}: {}", output::causes(&why))),
    };
    tally.bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let claimed = segment.duration.as_duration();
    match ruler.measure(&bytes).map(|probe| probe.duration) {
        Ok(Some(measured)) if !agrees(claimed, measured) => tally.problem(format_args!(
            "push {seq}: {} plays {measured:?}, {claimed:?} was claimed",
            segment.content
        )),
        // What is neither MPEG-TS nor a fragment of MP4 cannot be measured; its bytes are what was pushed all the same.
        Ok(_) | Err(_) => {}
    }
}
