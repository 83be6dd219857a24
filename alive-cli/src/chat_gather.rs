//! What was said and ruled in a chat, made into an archive in memory that does not grow with it: [`Gathered`].
//!
//! History comes in the transport's order, an archive has its own. So what may count is sorted through a file first; only
//! what comes out in order is looked at closely: by the rules, then by its signature, as many at once as there are cores.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead as _, BufReader, Read as _, Write},
    num::NonZeroUsize,
    path::Path,
    thread,
    time::Duration,
};

use alive_chat::{
    Account, ArchiveFilter, ArchiveSorter, ArchiveWriter, Arrival, ChatTransport, Delivery,
    HistoryPage, Item, KeySet, Message, Recovered, Rulebook, SortedMessages, StreamChat,
    check_message_time,
};
use alive_core::{
    LiveKey,
    backend::{AccountKeys as _, Digest, SharedAccountKeys, SignatureError},
};
use anyhow::{Context as _, bail, ensure};
use tokio::{task::spawn_blocking, time::timeout};

use crate::chain::Chain;

/// Items of one page of history.
const PAGE: usize = 1000;
/// Longest message that readers take, in characters. Source: `spec/alivedb.md`, "8.3".
const MAX_CHARS: usize = 2000;
/// Messages whose signatures are checked at once.
const BATCH: usize = 4096;
/// How long one page of history may take.
const PATIENCE: Duration = Duration::from_mins(2);
/// How often a page is asked for.
const ATTEMPTS: u32 = 6;
/// How soon a page is asked for again; each time it takes twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// What was said and ruled, before anything of it is verified.
#[derive(Debug)]
pub(crate) struct Gathered {
    chat: StreamChat,
    rules: Rulebook,
    sorter: ArchiveSorter<File>,
    count: u64,
    most: u64,
}

/// How many messages went where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// In the archive.
    pub(crate) written: u64,
    /// Signed by nobody who could have.
    pub(crate) refused: u64,
}

impl Gathered {
    /// Nothing yet, of at most `most` messages. What is being sorted lies in a file without a name in `folder`.
    pub(crate) fn new(
        chat: StreamChat,
        streamer_key: LiveKey,
        folder: &Path,
        most: u64,
    ) -> anyhow::Result<Self> {
        let file = tempfile::tempfile_in(folder);
        let file = file.with_context(|| format!("a file in {}", folder.display()))?;
        let rules = Rulebook::new(chat.streamer().clone(), streamer_key);
        Ok(Self { sorter: ArchiveSorter::new(chat.clone(), file), chat, rules, count: 0, most })
    }

    /// Adds all that a transport holds.
    pub(crate) async fn with_history(
        mut self,
        transport: &impl ChatTransport,
    ) -> anyhow::Result<Self> {
        let mut from = None;
        loop {
            let page = history(transport, self.chat.id(), from).await?;
            let mut messages = Vec::new();
            for Delivery { item, state, .. } in page.items {
                match item {
                    Item::Entry(entry) => {
                        self.rules.apply(entry);
                    }
                    Item::Message(message)
                        if check_message_time(&message, state, Arrival::History).is_ok() =>
                    {
                        messages.push(message);
                    }
                    _ => {}
                }
            }
            self = spawn_blocking(move || {
                messages.into_iter().try_for_each(|message| self.add(message))?;
                anyhow::Ok(self)
            })
            .await??;
            from = page.next;
            if from.is_none() {
                return Ok(self);
            }
        }
    }

    /// Adds the messages of a file, one JSON object a line in any order, such as another archive.
    pub(crate) async fn with_file(self, path: &Path) -> anyhow::Result<Self> {
        let path = path.to_owned();
        spawn_blocking(move || {
            let name = path.display().to_string();
            let file = File::open(&path).with_context(|| name.clone())?;
            self.add_lines(BufReader::new(file)).context(name)
        })
        .await?
    }

    fn add_lines(mut self, mut from: BufReader<File>) -> anyhow::Result<Self> {
        let limit = u64::try_from(Message::MAX_JSON)?.saturating_add(1);
        let mut line = Vec::new();
        for number in 1_u64.. {
            line.clear();
            if from.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            let text = line.strip_suffix(b"\n").context("it is cut, or has a line too long");
            let text = text.and_then(|text| Ok(std::str::from_utf8(text)?));
            let message = text.and_then(|text| Ok(Message::from_json(self.chat.networks(), text)?));
            let message = message.with_context(|| format!("line {number}"))?;
            self.add(message)?;
        }
        Ok(self)
    }

    fn add(&mut self, message: Message) -> anyhow::Result<()> {
        if message.text().chars().nth(MAX_CHARS).is_some() {
            return Ok(());
        }
        self.count += 1;
        let most = self.most;
        ensure!(self.count <= most, "more than {most} messages; see --max-messages");
        Ok(self.sorter.push(message)?)
    }

    /// Writes the archive of it; `filter` makes of the rules what is taken.
    pub(crate) async fn write(
        self,
        keys: &mut Keys,
        filter: impl FnOnce(Rulebook) -> ArchiveFilter,
        to: impl Write,
    ) -> anyhow::Result<Tally> {
        let Self { chat, rules, sorter, .. } = self;
        let mut work = Ordered { filter: filter(rules), chat: chat.clone(), sorted: None };
        let mut sorter = Some(sorter);
        let (mut writer, mut tally) = (ArchiveWriter::new(chat, to), Tally::default());
        let mut last: Option<Digest> = None;
        loop {
            let sorter = sorter.take();
            let (back, batch) = spawn_blocking(move || work.batch(sorter)).await??;
            work = back;
            if batch.is_empty() {
                break;
            }
            for recovered in batch {
                let Ok(recovered) = recovered else {
                    tally.refused += 1;
                    continue;
                };
                if last == Some(*recovered.digest()) {
                    // The same with another signature.
                    continue;
                }
                let known = keys.of(recovered.signed().account()).await?;
                let Some(verified) = known.and_then(|known| recovered.allow(known)) else {
                    tally.refused += 1;
                    continue;
                };
                last = Some(*verified.digest());
                if work.filter.takes(&verified) {
                    writer.push(&verified)?;
                }
            }
        }
        tally.written = writer.len();
        writer.finish()?;
        Ok(tally)
    }
}

/// Messages in the order of an archive, as they are looked at.
struct Ordered {
    chat: StreamChat,
    filter: ArchiveFilter,
    sorted: Option<SortedMessages<File>>,
}

type Batch = Vec<Result<Recovered<Message>, SignatureError>>;

impl Ordered {
    /// The next messages that the rules let pass, with the keys that signed them; none at the end. The first call brings
    /// what is to be sorted.
    fn batch(mut self, sorter: Option<ArchiveSorter<File>>) -> anyhow::Result<(Self, Batch)> {
        if let Some(sorter) = sorter {
            self.sorted = Some(sorter.finish()?);
        }
        let mut messages = Vec::new();
        while messages.len() < BATCH
            && let Some(message) = self.sorted.as_mut().and_then(Iterator::next)
        {
            let message = message?;
            let digest = self.chat.digest(&message)?;
            if self.filter.may_take(&message, &digest) {
                messages.push(message);
            }
        }
        let threads = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let recovered = self.chat.recover_all(messages, threads);
        Ok((self, recovered))
    }
}

/// A page of history, asked for again where that may help.
async fn history(
    transport: &impl ChatTransport,
    id: &alive_core::StreamId,
    from: Option<u64>,
) -> anyhow::Result<HistoryPage> {
    let mut pause = FIRST_PAUSE;
    for attempt in 1.. {
        match timeout(PATIENCE, transport.history(id, from, PAGE)).await {
            Ok(Ok(page)) => return Ok(page),
            Ok(Err(error)) if !error.is_transient() || attempt == ATTEMPTS => {
                return Err(error).context("reading the chat");
            }
            Ok(Err(_)) => {}
            Err(_) => bail!("the chat was not read in {PATIENCE:?}"),
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    bail!("the chat was not read")
}

/// The keys of accounts, asked for once.
#[derive(Debug)]
pub(crate) struct Keys {
    chains: Vec<SharedAccountKeys>,
    known: HashMap<Account, Option<KeySet>>,
}

impl Keys {
    /// Most accounts that are remembered.
    const MAX: usize = 100_000;

    pub(crate) fn new(chains: &[Chain]) -> anyhow::Result<Self> {
        let chains = chains.iter().map(Chain::account_keys).collect::<Result<_, _>>()?;
        Ok(Self::of_chains(chains))
    }

    fn of_chains(chains: Vec<SharedAccountKeys>) -> Self {
        Self { chains, known: HashMap::new() }
    }

    /// The keys of an account, `None` if there is no such account.
    pub(crate) async fn of(&mut self, account: &Account) -> anyhow::Result<Option<&KeySet>> {
        if !self.known.contains_key(account) {
            let chain = self.chains.iter().find(|chain| chain.network() == account.network());
            let chain = chain.with_context(|| {
                format!("give --network for {}, to verify {account}", account.network())
            })?;
            let authority = chain.authority(account.name()).await;
            let authority = authority.with_context(|| format!("keys of {account}"))?;
            if self.known.len() >= Self::MAX {
                self.known.clear();
            }
            self.known.insert(account.clone(), authority.as_ref().map(KeySet::from));
        }
        Ok(self.known.get(account).and_then(Option::as_ref))
    }
}
