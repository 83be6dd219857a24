//! `alive chat join`: a chat in a terminal, line by line, or in a script.

use std::{
    collections::{HashSet, VecDeque},
    path::PathBuf,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use alive_avalon::AvalonPlain;
use alive_chat::{
    Account, ApprovalPolicy, ChatSession, Entry, Joined, Message, Rule, SessionEvent,
    SessionUpdate, SignatureText, Signer, SignerError, Standing, Verified,
};
use alive_core::{
    LiveKey, Network,
    backend::{Digest, SignatureScheme as _},
};
use alive_hive::{GraphenePlain, RecoverableSignature, SignAlgorithm};
use anyhow::{Context as _, bail, ensure};
use futures_util::StreamExt as _;
use tokio::time::{Instant, sleep_until};

use crate::{
    asked_to_stop,
    chain::SigningKey,
    chat::{ChatArgs, Connected, account},
    chat_line::{HELP, Kind, Line, find_digest},
    chat_terminal::{Screen, typed_lines},
    live::read_existing_keys,
    output,
    secret::KeyArgs,
};

/// Joins a chat. What is typed is said, commands begin with a slash (/help). Anybody may listen; to speak, give --as.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: alive chat join hive/alice/launch --live-peer http://127.0.0.1:3007/gun --as bob --api http://127.0.0.1:3010

In a script, say one thing and leave once it can be read:
  echo 'we are live' | alive chat join hive/alice/launch --live-peer URL --as alice --leave"
)]
pub(crate) struct JoinArgs {
    #[command(flatten)]
    chat: ChatArgs,
    /// The account that speaks, such as bob, or blurt/bob for one of another network than the stream's. Its key comes from
    /// the places that other commands take keys from. If the streamer has not approved it, access is asked for.
    #[arg(long = "as", env = "ALIVE_CHAT_AS", value_name = "ACCOUNT")]
    speaker: Option<String>,
    #[command(flatten)]
    key: KeyArgs,
    /// File of the AliveDB keys of the streamer or of a moderator, as `SEA.pair()` of gun writes them. Approvals, bans and
    /// other rules are signed with them.
    #[arg(long, env = "ALIVE_LIVE_KEY_FILE", value_name = "FILE")]
    live_key_file: Option<PathBuf>,
    /// How requests for access are decided, if the keys are the streamer's.
    #[arg(long, env = "ALIVE_CHAT_APPROVE", value_enum, default_value_t = Approve::Automatic)]
    approve: Approve,
    /// How many earlier messages are shown at first.
    #[arg(long, env = "ALIVE_CHAT_LAST", default_value_t = 50, value_name = "N")]
    last: usize,
    /// Leave once the input has ended and all of it can be read by others. It fails if that takes too long.
    #[arg(long)]
    leave: bool,
    /// Show what has been said, and leave.
    #[arg(long, conflicts_with_all = ["leave", "speaker"])]
    once: bool,
    /// Seconds that --leave waits for approval, and then for what was said to come back.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    wait: u64,
}

/// Who decides about requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Approve {
    /// Every good one is approved, but one by an account that looks like the streamer's.
    Automatic,
    /// The streamer, by /approve.
    ByHand,
    /// Not this program: another one does.
    Never,
}

/// Most messages that are held and can be hidden by their ids.
pub(crate) const HISTORY: usize = 10_000;
/// Most lines that wait for approval.
const MAX_PENDING: usize = 1000;
/// Readers take one message a second of an account, and five at once; a little less often is never too often.
const PACE: Duration = Duration::from_millis(1050);
const BURST: u32 = 4;

pub(crate) async fn join(args: JoinArgs) -> anyhow::Result<()> {
    let keys = args.live_key_file.as_deref().map(read_existing_keys).transpose()?.map(Arc::new);
    let approve = args.approve;
    let connected =
        args.chat.connect(keys, HISTORY, |config, is_streamer| match (is_streamer, approve) {
            (true, Approve::Automatic) => config.approval(ApprovalPolicy::Automatic),
            (true, Approve::ByHand) => config.approval(ApprovalPolicy::ByHand),
            _ => config,
        });
    let connected = connected.await?;
    let outcome = talk(&args, &connected).await;
    connected.stop().await;
    outcome
}

async fn talk(args: &JoinArgs, connected: &Connected) -> anyhow::Result<()> {
    let session = &connected.session;
    let speaker = match &args.speaker {
        None => None,
        Some(text) => {
            let account = account(session.chat(), text).context("--as")?;
            Some(Wallet::open(account, &args.key)?)
        }
    };
    let joined = session.join().await?;
    let mut room = Visit {
        session,
        screen: Screen::new(session.chat(), output::is_terminal()),
        streamer_key: connected.streamer_key.clone(),
        speaker,
        is_live: false,
        may_speak: false,
        is_banned: false,
        has_asked: false,
        seen: HashSet::new(),
        ids: VecDeque::new(),
        pending: VecDeque::new(),
        unheard: HashSet::new(),
        last: args.last,
    };
    let mut events = joined.events;
    if joined.is_caught_up {
        events = room.begin().await?;
    }
    let mut lines = typed_lines();
    let (mut input_open, mut paid_until) = (!args.once, Instant::now());
    let mut deadline: Option<Instant> = None;
    let mut stop = pin!(asked_to_stop());
    loop {
        if args.once && room.is_live {
            return Ok(());
        }
        if args.leave && !input_open && room.is_live {
            if room.pending.is_empty() && room.unheard.is_empty() {
                return Ok(());
            }
            deadline.get_or_insert(Instant::now() + Duration::from_secs(args.wait));
        }
        let unsaid = room.pending.len();
        ensure!(
            !args.leave || !room.is_banned || unsaid == 0,
            "{unsaid} lines were not said: banned"
        );
        let may_send = room.may_speak && !room.pending.is_empty();
        let send_at = paid_until.checked_sub(PACE * BURST).unwrap_or(paid_until);
        tokio::select! {
            update = events.next() => match update {
                None => bail!("the chat has stopped"),
                Some(SessionUpdate::Event(event)) => {
                    if let Some(anew) = room.event(&event).await? {
                        events = anew;
                    }
                }
                Some(SessionUpdate::Missed(lost)) => {
                    output::line(room.screen.note(&format!("{lost} events came too fast")));
                    events = room.begin().await?;
                }
                Some(_) => {}
            },
            line = lines.recv(), if input_open && room.is_live && room.pending.len() < MAX_PENDING => {
                match line {
                    None => input_open = false,
                    Some(line) => if room.typed(&line).await? {
                        return Ok(());
                    },
                }
            }
            () = sleep_until(send_at), if may_send => {
                paid_until = paid_until.max(Instant::now()) + PACE;
                // A pause between two messages is no delay of the last one.
                if let (Some(_), true) = (deadline, args.leave) {
                    deadline = Some(Instant::now() + Duration::from_secs(args.wait));
                }
                room.say_next(args.leave).await?;
            }
            () = until(deadline) => {
                let (waiting, unheard) = (room.pending.len(), room.unheard.len());
                ensure!(waiting == 0, "{waiting} lines were not said: nobody has approved the account");
                bail!("{unheard} messages did not come back within {} s", args.wait);
            }
            () = &mut stop => return Ok(()),
        }
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// A visit in a chat.
#[expect(clippy::struct_excessive_bools, reason = "they say how far the visit is")]
struct Visit<'c> {
    session: &'c ChatSession,
    screen: Screen,
    streamer_key: LiveKey,
    speaker: Option<Wallet>,
    /// Whether what was said before has been shown.
    is_live: bool,
    may_speak: bool,
    is_banned: bool,
    has_asked: bool,
    /// Messages that were shown, and in which order, to be found by their ids.
    seen: HashSet<Digest>,
    ids: VecDeque<Digest>,
    /// Lines that wait for approval or their turn.
    pending: VecDeque<String>,
    /// What was said and has not come back.
    unheard: HashSet<Digest>,
    last: usize,
}

impl Visit<'_> {
    /// Shows the last messages that were not shown yet, and gives what happens from now on.
    async fn begin(&mut self) -> anyhow::Result<alive_chat::SessionEvents> {
        let Joined { messages, events, .. } = self.session.join().await?;
        let known = messages.iter().filter(|message| self.seen.contains(message.digest())).count();
        let new: Vec<_> =
            messages.iter().filter(|message| !self.seen.contains(message.digest())).collect();
        // After a gap all that is new; at first the last few.
        let skip = if self.is_live || known > 0 { 0 } else { new.len().saturating_sub(self.last) };
        for message in new.iter().take(skip) {
            self.note_id(*message.digest());
        }
        for message in new.into_iter().skip(skip) {
            self.show(message);
        }
        self.is_live = true;
        self.look_for_access().await?;
        Ok(events)
    }

    async fn event(
        &mut self,
        event: &SessionEvent,
    ) -> anyhow::Result<Option<alive_chat::SessionEvents>> {
        match event {
            SessionEvent::Applicant { account, looks_like_streamer } => {
                let who = self.screen.account(account);
                let warning =
                    if *looks_like_streamer { ", whose name looks like yours," } else { "" };
                output::line(format_args!("* {who}{warning} asks for access: /approve {account}"));
            }
            SessionEvent::CaughtUp if !self.is_live => return self.begin().await.map(Some),
            SessionEvent::Connected if self.is_live => {
                output::line(self.screen.note("connected again"));
            }
            SessionEvent::Disconnected { why } => {
                output::line(self.screen.note(&format!("disconnected, trying again: {why}")));
            }
            SessionEvent::Hide { digest, why } if self.is_live => {
                self.unheard.remove(digest);
                output::line(self.screen.hidden(digest, *why));
            }
            SessionEvent::Ruled(entry) => {
                if self.is_live {
                    output::line(self.screen.note(&self.ruled(entry)));
                }
                let is_ours = |rule: &Rule| match rule {
                    Rule::Participant(account) => {
                        self.speaker.as_ref().is_some_and(|own| &own.account == account)
                    }
                    _ => false,
                };
                if self.is_live && is_ours(&entry.rule) {
                    self.look_for_access().await?;
                }
            }
            SessionEvent::Show(message) if self.is_live => {
                self.unheard.remove(message.digest());
                self.show(message);
            }
            _ => {}
        }
        Ok(None)
    }

    fn show(&mut self, message: &Verified<Message>) {
        self.note_id(*message.digest());
        output::line(self.screen.message(message));
    }

    fn note_id(&mut self, digest: Digest) {
        if !self.seen.insert(digest) {
            return;
        }
        self.ids.push_back(digest);
        if self.ids.len() > HISTORY
            && let Some(oldest) = self.ids.pop_front()
        {
            self.seen.remove(&oldest);
        }
    }

    /// What the streamer or a moderator has said, for people.
    fn ruled(&self, entry: &Entry) -> String {
        let by = if entry.author == self.streamer_key { "the streamer" } else { "a moderator" };
        let is_on = entry.value != 0.0;
        let what = match &entry.rule {
            Rule::Message(digest) => {
                let id: String = crate::chat_line::hex(digest).chars().take(8).collect();
                format!("message {id} is {}", if is_on { "shown" } else { "hidden" })
            }
            Rule::Moderator(key) => {
                format!("{key} is {}", if is_on { "a moderator" } else { "no moderator any more" })
            }
            Rule::Participant(account) => {
                format!("{account} {}", if is_on { "may write" } else { "is banned" })
            }
            Rule::SlowMode if is_on => {
                format!("an account must pause {} s between two messages", entry.value)
            }
            Rule::SlowMode => "no pause between messages any more".to_owned(),
            Rule::Word(word) => {
                format!(
                    "messages with the word {word} are {}",
                    if is_on { "hidden" } else { "shown" }
                )
            }
            _ => "a new rule".to_owned(),
        };
        format!("by {by}: {what}")
    }

    /// Finds out whether the account may speak; if nobody has decided, asks for access once.
    async fn look_for_access(&mut self) -> anyhow::Result<()> {
        let Some(speaker) = &self.speaker else { return Ok(()) };
        let account = &speaker.account;
        let could = self.may_speak;
        match self.session.standing(account).await? {
            Standing::Approved => {
                (self.may_speak, self.is_banned) = (true, false);
                if !could && self.has_asked {
                    output::line(self.screen.note("you may write"));
                }
            }
            Standing::Banned => {
                (self.may_speak, self.is_banned) = (false, true);
                output::line(self.screen.note("you are banned or on a blacklist"));
            }
            Standing::Unknown if !self.has_asked => {
                self.has_asked = true;
                match self.session.ask_access(speaker, account).await {
                    Ok(()) => output::line(self.screen.note("asked the streamer for access")),
                    Err(error) => {
                        let why = output::causes(&error);
                        output::line(self.screen.note(&format!("cannot ask for access: {why}")));
                    }
                }
            }
            Standing::Unknown => self.may_speak = false,
        }
        Ok(())
    }

    /// Does what was typed; whether to leave.
    async fn typed(&mut self, text: &str) -> anyhow::Result<bool> {
        let line = match Line::read(self.session.chat(), text) {
            Ok(line) => line,
            Err(error) => {
                output::line(self.screen.note(&format!("{error:#}")));
                return Ok(false);
            }
        };
        let done = match line {
            Line::Quit => return Ok(true),
            Line::Empty => Ok(()),
            Line::Help => {
                output::line(HELP);
                Ok(())
            }
            Line::Say(_) if self.speaker.is_none() => {
                Err(anyhow::anyhow!("give --as ACCOUNT to say something"))
            }
            Line::Say(text) => {
                if !self.may_speak {
                    output::line(self.screen.note("it will be said once you may write"));
                }
                self.pending.push_back(text);
                Ok(())
            }
            Line::Applicants => self.applicants().await,
            Line::Back(count) => self.back(count).await,
            Line::Rules(kind) => self.rules(kind).await,
            Line::Rule { rule, value } => self.session.rule(rule, value).await.map_err(Into::into),
            Line::Message { start, value } => match find_digest(&self.ids, &start) {
                Ok(digest) => {
                    let rule = Rule::Message(digest);
                    self.session.rule(rule, value).await.map_err(Into::into)
                }
                Err(error) => Err(error),
            },
        };
        if let Err(error) = done {
            output::line(self.screen.note(&format!("{error:#}")));
        }
        Ok(false)
    }

    /// Says the next line. In a script that waits for it a failure ends the program.
    async fn say_next(&mut self, must: bool) -> anyhow::Result<()> {
        let Some((speaker, text)) = self.speaker.as_ref().zip(self.pending.pop_front()) else {
            return Ok(());
        };
        match self.session.say(speaker, &speaker.account, &text).await {
            // It may be back before this is noted only if the events are read elsewhere, which they are not.
            Ok(digest) => {
                self.unheard.insert(digest);
                Ok(())
            }
            Err(error) if must => Err(anyhow::Error::from(error).context("not said")),
            Err(error) => {
                let why = output::causes(&error);
                output::line(self.screen.note(&format!("not said: {why}")));
                Ok(())
            }
        }
    }

    async fn applicants(&self) -> anyhow::Result<()> {
        let applicants = self.session.applicants().await?;
        if applicants.is_empty() {
            output::line(self.screen.note("nobody waits for approval"));
        }
        for (account, _) in applicants {
            output::line(format_args!("* {}", self.screen.account(&account)));
        }
        Ok(())
    }

    async fn back(&mut self, count: usize) -> anyhow::Result<()> {
        let messages = self.session.join().await?.messages;
        for message in messages.iter().skip(messages.len().saturating_sub(count)) {
            output::line(self.screen.message(message));
        }
        Ok(())
    }

    async fn rules(&self, kind: Kind) -> anyhow::Result<()> {
        let rules = self.session.rules().await?;
        let all: Vec<String> = match kind {
            Kind::Moderators => rules.moderators().map(ToString::to_string).collect(),
            Kind::Words => rules.words().map(str::to_owned).collect(),
        };
        if all.is_empty() {
            output::line(self.screen.note("none"));
        }
        for one in all {
            output::line(self.screen.note(&one));
        }
        Ok(())
    }
}

/// An account and its key, which never leaves the process.
#[derive(Debug)]
pub(crate) struct Wallet {
    account: Account,
    key: SigningKey,
}

impl Wallet {
    fn open(account: Account, keys: &KeyArgs) -> anyhow::Result<Self> {
        let key = if account.network() == &Network::avalon() {
            SigningKey::Avalon(keys.read_avalon()?)
        } else {
            SigningKey::Hive(keys.read()?)
        };
        Ok(Self { account, key })
    }
}

impl Signer for Wallet {
    async fn sign(&self, account: &Account, text: &str) -> Result<SignatureText, SignerError> {
        if account != &self.account {
            return Err(SignerError::Refused("it is the key of another account".into()));
        }
        match &self.key {
            SigningKey::Hive(key) => {
                let digest = GraphenePlain.digest(text.as_bytes());
                let signature = RecoverableSignature::sign(&digest, key, SignAlgorithm::Dhive);
                Ok(SignatureText { text: signature.to_string().into(), recovery_id: None })
            }
            SigningKey::Avalon(key) => {
                let signature = AvalonPlain::sign(&AvalonPlain.digest(text.as_bytes()), key);
                let split = signature.split_once(',');
                let read = split.and_then(|(text, id)| Some((text, id.parse().ok()?)));
                let (text, id) = read.ok_or(SignerError::Refused("no signature".into()))?;
                Ok(SignatureText { text: text.into(), recovery_id: Some(id) })
            }
        }
    }
}
