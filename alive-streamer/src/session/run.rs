//! A session while it runs: [`Running`]. It decides nothing: what happens goes to the engines, what they ask for is done.

use std::{
    collections::{HashMap, VecDeque},
    error::Error,
    sync::Arc,
    time::Duration,
};

use alive_core::{
    ContentId, Effect, JournalEntry, Op, PublishError, Publisher, SegmentNumber, Step,
    backend::{BroadcastError, Broadcaster as _, Receipt},
};
use tokio::{
    sync::{Notify, broadcast},
    task::{JoinError, JoinSet},
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    Backends, Session, SessionError, SharedJournal, blocking,
    files::{Files, SegmentFile},
    parts::{Failed, PartEffect, Parts},
    steps::{self, Done, PartDone, StoreFailure, Stored, StoredPart},
};
use crate::{
    config::SessionConfig,
    progress::{Found, Progress, Totals, Waiting, Warning},
    watch::{Look, Outcome, Taken, Watcher},
};

/// A session that runs. Everything it started ends when it is dropped.
#[derive(Debug)]
pub(super) struct Running {
    config: SessionConfig,
    backends: Backends,
    journal: SharedJournal,
    publisher: Publisher,
    files: Files,
    eyes: Eyes,
    waker: Arc<Notify>,
    progress: broadcast::Sender<Progress>,
    tasks: JoinSet<Done>,
    /// Parts of the segment that is being recorded, and what is done for them. Dropped when it is whole.
    parts: Parts,
    part_tasks: JoinSet<PartDone>,
    /// Segments to store when it is their turn.
    to_store: VecDeque<SegmentNumber>,
    storing: usize,
    /// Initialisation sections that are stored, by the digests of their files. There is one for each start of a recorder.
    sections: HashMap<[u8; 32], ContentId>,
    /// What is known of the segment that is about to be written to the journal.
    taken: Option<Box<Taken>>,
    totals: Totals,
    /// What listeners were told last that the session waits for.
    waiting: Option<Waiting>,
    stopping: bool,
    deadline: Option<Instant>,
    full: bool,
}

/// Who looks at the folder.
#[derive(Debug)]
enum Eyes {
    /// Nobody any more: the recording is over for this session.
    Closed,
    /// A task. When it is the `last` one, it was started after the session was told to stop.
    Looking { last: bool },
    /// Nobody until a moment, or until something changes.
    Resting { watcher: Box<Watcher>, until: Instant },
}

/// What a session waits for.
enum Event {
    Deadline,
    Done(Done),
    Look,
    Part(Result<PartDone, JoinError>),
    PartsDue,
    Stop,
    Timeout,
}

impl Running {
    pub(super) fn new(session: Session) -> Self {
        let Session { config, backends, journal, publisher, files, watcher, waker, progress } =
            session;
        Self {
            config,
            backends,
            journal,
            publisher,
            files,
            eyes: Eyes::Resting { watcher, until: Instant::now() },
            waker,
            progress,
            tasks: JoinSet::new(),
            parts: Parts::default(),
            part_tasks: JoinSet::new(),
            to_store: VecDeque::new(),
            storing: 0,
            sections: HashMap::new(),
            taken: None,
            totals: Totals::default(),
            waiting: None,
            stopping: false,
            deadline: None,
            full: false,
        }
    }

    pub(super) async fn run(mut self, stop: CancellationToken) -> Result<Totals, SessionError> {
        for file in self.files.unpurged() {
            self.purge(file).await?;
        }
        while !self.carry_out().await? {
            match self.wait(&stop).await? {
                Event::Deadline => {
                    return Err(SessionError::Deadline { left: self.publisher.backlog() });
                }
                Event::Done(done) => self.handle(done)?,
                Event::Look => self.look(),
                Event::Part(Ok(done)) => self.handle_part(done),
                Event::Part(Err(error)) => self.warn(Warning::Part { source: Arc::new(error) }),
                Event::PartsDue => {}
                Event::Stop => self.stop(),
                Event::Timeout => self.publisher.handle_timeout(now()),
            }
        }
        let is_settled = self.settle(&stop).await;
        self.finish(is_settled).await
    }

    /// Waits until no fork of the chain can take back what was published. Whether it came to that before somebody lost
    /// patience.
    async fn settle(&self, stop: &CancellationToken) -> bool {
        /// Time between two tries.
        const PAUSE: Duration = Duration::from_secs(5);
        let settled = async {
            while let Err(error) = self.backends.broadcaster.settle().await {
                let is_refused = matches!(error, BroadcastError::Refused { .. });
                self.warn(Warning::Unsettled { source: Arc::new(error) });
                if is_refused {
                    return false;
                }
                sleep(PAUSE).await;
            }
            true
        };
        tokio::select! {
            settled = settled => settled,
            () = until(self.deadline) => false,
            () = stop.cancelled(), if !self.stopping => false,
        }
    }

    /// Waits for the next thing to happen.
    async fn wait(&mut self, stop: &CancellationToken) -> Result<Event, SessionError> {
        let timeout = self.publisher.poll_timeout().map(Instant::from_std);
        let parts = self.parts.poll_timeout().map(Instant::from_std);
        let look = match &self.eyes {
            Eyes::Resting { until, .. } => Some(*until),
            Eyes::Closed | Eyes::Looking { .. } => None,
        };
        tokio::select! {
            () = stop.cancelled(), if !self.stopping => Ok(Event::Stop),
            () = until(self.deadline) => Ok(Event::Deadline),
            Some(done) = self.tasks.join_next() => done.map(Event::Done).map_err(SessionError::Task),
            Some(done) = self.part_tasks.join_next() => Ok(Event::Part(done)),
            () = until(timeout) => Ok(Event::Timeout),
            () = until(parts) => Ok(Event::PartsDue),
            () = until(look) => Ok(Event::Look),
            () = self.waker.notified(), if look.is_some() => Ok(Event::Look),
        }
    }

    /// Does what the publisher asks for, strictly in order. Whether everything is done.
    async fn carry_out(&mut self) -> Result<bool, SessionError> {
        while let Some(effect) = self.publisher.poll_effect() {
            match effect {
                Effect::Announce(number, segment, section) => {
                    if let Some(live) = self.backends.live.clone() {
                        let stream = self.config.stream.clone();
                        self.tasks.spawn(steps::announce(number, segment, section, stream, live));
                    }
                }
                Effect::Broadcast(op) => {
                    let broadcaster = self.backends.broadcaster.clone();
                    self.tasks.spawn(steps::broadcast(step_of(&op), op, broadcaster));
                }
                Effect::Finished => return Ok(true),
                Effect::Journal(entry) => self.write(entry).await?,
                Effect::Progress(number, stage) => self.tell(Progress::Stage { number, stage }),
                Effect::Release(number) => self.release(number).await?,
                Effect::Store(number) => self.to_store.push_back(number),
                Effect::StoreChunk(seq, csv) => {
                    let storage = self.backends.storage.clone();
                    self.tasks.spawn(steps::store_chunk(seq, csv, storage));
                }
            }
        }
        self.store();
        self.share_parts();
        Ok(false)
    }

    /// Writes to the journal and waits until it is durable.
    async fn write(&mut self, entry: JournalEntry) -> Result<(), SessionError> {
        let journal = self.journal.clone();
        let (entry, written) = blocking(move || {
            let written = journal.lock().append(&entry);
            (entry, written)
        })
        .await?;
        written?;
        if let JournalEntry::Segment { number, duration, discontinuity, .. } = entry
            && let Some(taken) = self.taken.take()
        {
            self.tell(Progress::Found(Found {
                number,
                name: taken.source.name,
                size: taken.source.state.size,
                duration,
                discontinuity,
                codecs: taken.codecs,
                starts_with_key_frame: taken.starts_with_key_frame,
            }));
        }
        Ok(())
    }

    /// Starts to store as many segments as may be stored at the same time.
    fn store(&mut self) {
        while self.storing < self.config.parallel_stores.max(1) {
            let Some(number) = self.to_store.pop_front() else { return };
            let Some(file) = self.files.get(number) else { continue };
            self.storing += 1;
            let known = file.section().and_then(|digest| self.sections.get(&digest)).copied();
            self.tasks.spawn(steps::store(number, file, known, self.backends.storage.clone()));
        }
    }

    /// Starts what is next for the parts of the segment that is being recorded.
    fn share_parts(&mut self) {
        let Some(live) = &self.backends.live else { return };
        let upcoming = self.publisher.upcoming();
        while let Some(effect) = self.parts.poll_effect(upcoming, now(), steps::timestamp()) {
            match effect {
                PartEffect::Announce(step, part) => {
                    let stream = self.config.stream.clone();
                    self.part_tasks.spawn(steps::announce_part(step, part, stream, live.clone()));
                }
                PartEffect::Store(step, bytes, section) => {
                    let digest = section.as_ref().map(|section| section.source.digest);
                    let known = digest.and_then(|digest| self.sections.get(&digest)).copied();
                    let storage = self.backends.storage.clone();
                    let store = steps::store_part(step, bytes, section, known, storage);
                    self.part_tasks.spawn(store);
                }
            }
        }
    }

    fn handle_part(&mut self, done: PartDone) {
        match done {
            PartDone::Announced(step, number, Ok(())) => {
                self.parts.handle_announced(step, Ok(()), now());
                self.totals.parts += 1;
                self.tell(Progress::Part { number, index: step.index });
            }
            PartDone::Announced(step, _, Err(error)) => {
                let failed = failed(error.is_transient());
                if self.parts.handle_announced(step, Err(failed), now()) {
                    self.warn_of_part(error);
                }
            }
            PartDone::Stored(step, Ok(StoredPart { place, section })) => {
                self.sections.extend(section.zip(place.section));
                self.parts.handle_stored(step, Ok(place), now());
            }
            PartDone::Stored(step, Err(error)) => {
                let failed = failed(error.is_transient());
                if self.parts.handle_stored(step, Err(failed), now()) {
                    self.warn_of_part(error);
                }
            }
        }
    }

    fn warn_of_part(&self, error: impl Error + Send + Sync + 'static) {
        self.warn(Warning::Part { source: Arc::new(error) });
    }

    /// The segment is whole, or will never be: its parts are of no use any more. What is done for them stops at once.
    fn drop_parts(&mut self) {
        self.parts = Parts::default();
        self.part_tasks = JoinSet::new();
    }

    async fn release(&mut self, number: SegmentNumber) -> Result<(), SessionError> {
        match self.files.remove(number).filter(|_| self.config.purge) {
            Some(file) => self.purge(file).await,
            None => Ok(()),
        }
    }

    async fn purge(&self, file: SegmentFile) -> Result<(), SessionError> {
        let name = file.name();
        if let Err(error) = blocking(move || file.delete()).await? {
            self.warn(Warning::Purge { name, source: Arc::new(error) });
        }
        Ok(())
    }

    fn handle(&mut self, done: Done) -> Result<(), SessionError> {
        let now = now();
        match done {
            Done::Announced(number, Ok(())) => self.publisher.handle_announced(number, now),
            // The chain carries every segment, too: a live cache that refuses ends no stream.
            Done::Announced(number, Err(error)) => self.retry(Step::Announce(number), error),
            Done::Broadcast(step, _, Ok(receipt)) => self.handle_receipt(step, receipt),
            Done::Broadcast(step, _, Err(error)) if error.is_transient() => self.retry(step, error),
            Done::Broadcast(_, op, Err(source)) => {
                return Err(SessionError::Broadcast { what: op.to_json(), source });
            }
            Done::ChunkStored(seq, Ok(content)) => {
                self.totals.chunks += 1;
                self.publisher.handle_chunk_stored(seq, content);
            }
            Done::ChunkStored(seq, Err(error)) if error.is_transient() => {
                self.retry(Step::StoreChunk(seq), error);
            }
            Done::ChunkStored(seq, Err(source)) => {
                return Err(SessionError::Storage { what: format!("chunk {seq}"), source });
            }
            Done::Looked(watcher, look) => return self.handle_look(watcher, look),
            Done::Stored(number, result) => {
                self.storing -= 1;
                return self.handle_stored(number, result);
            }
        }
        Ok(())
    }

    fn handle_stored(
        &mut self,
        number: SegmentNumber,
        result: Result<Stored, StoreFailure>,
    ) -> Result<(), SessionError> {
        match result {
            Ok(Stored { content, section, bytes }) => {
                self.totals.bytes += bytes;
                self.sections.extend(section);
                let section = section.map(|(_, section)| section);
                self.publisher.handle_stored_with(number, content, section, now());
            }
            Err(StoreFailure::Lost(name)) => {
                self.totals.lost += 1;
                self.files.remove(number);
                self.warn(Warning::Lost { number, name });
                self.publisher.handle_lost(number, now());
            }
            Err(StoreFailure::Read(error)) => self.retry(Step::Store(number), error),
            Err(StoreFailure::Storage(error)) if error.is_transient() => {
                self.retry(Step::Store(number), error);
            }
            Err(StoreFailure::Storage(source)) => {
                return Err(SessionError::Storage { what: format!("segment {number}"), source });
            }
            Err(StoreFailure::Task(error)) => return Err(SessionError::Task(error)),
        }
        Ok(())
    }

    fn handle_receipt(&mut self, step: Step, receipt: Receipt) {
        let Receipt { transaction, block } = receipt;
        self.totals.operations += 1;
        match step {
            Step::Broadcast(seq) => {
                self.tell(Progress::Pushed { seq, transaction, block });
                self.publisher.handle_broadcast(seq, now());
            }
            _ => {
                self.tell(Progress::Ended { transaction, block });
                self.publisher.handle_ended();
            }
        }
    }

    /// Starts to look at the folder, unless somebody does already.
    fn look(&mut self) {
        let last = self.stopping;
        match std::mem::replace(&mut self.eyes, Eyes::Looking { last }) {
            Eyes::Resting { watcher, .. } => {
                self.tasks.spawn_blocking(move || steps::look(watcher));
            }
            other => self.eyes = other,
        }
    }

    fn handle_look(&mut self, watcher: Box<Watcher>, look: Look) -> Result<(), SessionError> {
        look.warnings.into_iter().for_each(|warning| self.warn(warning));
        look.parts.into_iter().for_each(|part| self.parts.handle_recorded(part));
        let was_last = matches!(self.eyes, Eyes::Looking { last: true });
        let mut watcher = watcher;
        let wait = match look.outcome {
            Outcome::Refused(refused) => {
                let (list, reason) = (refused.list, refused.reason);
                return Err(SessionError::Recording { list, reason });
            }
            Outcome::Segment(taken) => {
                self.take(taken, &mut watcher);
                if self.full {
                    return Ok(());
                }
                Duration::ZERO
            }
            Outcome::Ended if !self.config.keep_watching => {
                self.close();
                return Ok(());
            }
            Outcome::Ended | Outcome::Waiting(_) if was_last => {
                self.close();
                return Ok(());
            }
            Outcome::Ended => self.wait_for(Waiting::Recording),
            Outcome::Waiting(waiting) => self.wait_for(waiting),
        };
        self.eyes = Eyes::Resting { watcher, until: Instant::now() + wait };
        // Segments follow each other without a pause, and a session that stops looks once more at once.
        if wait.is_zero() || self.stopping {
            self.look();
        }
        Ok(())
    }

    fn take(&mut self, taken: Box<Taken>, watcher: &mut Watcher) {
        self.drop_parts();
        match self.publisher.handle_segment(taken.recorded.clone()) {
            Ok(number) => {
                self.waiting = None;
                self.totals.segments += 1;
                self.files.insert(number, taken.source.clone(), taken.section.clone());
                self.taken = Some(taken);
            }
            Err(PublishError::Duration(_)) => {
                self.warn(Warning::NoLength { name: taken.source.name });
                watcher.left_out();
            }
            Err(_) => {
                self.full = true;
                self.close();
            }
        }
    }

    fn wait_for(&mut self, waiting: Waiting) -> Duration {
        if self.waiting.as_ref() != Some(&waiting) {
            self.tell(Progress::Waiting(waiting.clone()));
            self.waiting = Some(waiting);
        }
        self.config.poll_interval.max(Duration::from_millis(1))
    }

    fn stop(&mut self) {
        self.stopping = true;
        self.deadline = self.config.flush_timeout.map(|timeout| Instant::now() + timeout);
        self.tell(Progress::Stopping);
        self.look();
    }

    /// Takes no more segments: what is left goes to the chain.
    fn close(&mut self) {
        self.eyes = Eyes::Closed;
        self.drop_parts();
        if !self.stopping {
            self.tell(Progress::Stopping);
        }
        self.publisher.handle_end(now());
    }

    /// Writes down that everything is on the chain, if it is there to stay. Otherwise the next session looks again.
    async fn finish(self, is_settled: bool) -> Result<Totals, SessionError> {
        let left = self.publisher.backlog();
        if self.full || left > 0 {
            return Err(SessionError::Full { left });
        }
        if is_settled {
            let journal = self.journal.clone();
            blocking(move || journal.lock().finish()).await??;
        }
        self.tell(Progress::Finished(self.totals));
        Ok(self.totals)
    }

    fn retry(&mut self, step: Step, error: impl Error + Send + Sync + 'static) {
        self.warn(Warning::Retrying { step, source: Arc::new(error) });
        self.publisher.handle_failed(step, now());
    }

    fn warn(&self, warning: Warning) {
        tracing::warn!(stream = %self.config.stream, %warning);
        self.tell(Progress::Warning(warning));
    }

    fn tell(&self, progress: Progress) {
        // Nobody has to listen.
        let _ = self.progress.send(progress);
    }
}

fn failed(is_transient: bool) -> Failed {
    if is_transient { Failed::ForNow } else { Failed::ForGood }
}

fn step_of(op: &Op) -> Step {
    match op {
        Op::Push(push) => Step::Broadcast(push.seq),
        Op::Configure(_) | Op::End(_) => Step::End,
    }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

/// Sleeps until a moment; for ever without one.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
