//! Sessions that die at the worst moments, and those that go on after them.
//!
//! A process that is killed leaves a prefix of its journal and has carried out any of the effects that came before the end of
//! it. Here a session dies within a line of the journal, between two of its lines, and with calls to its backends that were
//! made, or not, or whose answers got lost. After every death the next session is another process to all that matters: it
//! has the journal, the folder, and what the backends hold.

use std::time::Duration;

use alive_core::{
    ChainView,
    backend::{SharedBroadcaster, SharedLiveCache, SharedStorage},
    testing::{Call, Fault, Flaky},
};
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use self::support::{Published, World};
use super::{Backends, Session};
use crate::config::SessionConfig;

#[path = "../../tests/support/mod.rs"]
mod support;

/// How a session lives and dies.
#[derive(Clone, Debug, Default)]
struct Life {
    /// It dies within this line of the journal, counted from 0 in this life.
    dies_in_line: Option<usize>,
    /// What becomes of calls to backends, in their order; those beyond pass.
    faults: Vec<u8>,
    /// Whether it is told what the chain holds.
    sees_chain: bool,
    /// The time between pushes, in seconds.
    interval: u64,
}

impl Life {
    fn fault(&self, call: Call) -> Fault {
        let at = usize::try_from(call.number).unwrap();
        match self.faults.get(at).copied().unwrap_or(0) {
            1 => Fault::Unavailable,
            2 => Fault::Lost,
            3 => Fault::Hang,
            4 => Fault::Refused,
            _ => Fault::Pass,
        }
    }

    fn backends(&self, world: &World) -> Backends {
        let (a, b, c) = (self.clone(), self.clone(), self.clone());
        let storage = Flaky::new(world.storage.clone(), move |call| a.fault(call));
        let broadcaster = Flaky::new(world.broadcaster(), move |call| b.fault(call));
        let live = Flaky::new(world.live.clone(), move |call| c.fault(call));
        let (storage, live) = (SharedStorage::new(storage), SharedLiveCache::new(live));
        Backends::new(storage, SharedBroadcaster::new(broadcaster)).live(live)
    }

    /// Lives until it is done, or dies, or has waited for half an hour. Whether it was done.
    async fn live(&self, world: &World) -> bool {
        let config = SessionConfig::new(world.stream(), world.recordings(), world.journal())
            .interval(Duration::from_secs(self.interval))
            .purge(self.interval == 0)
            .poll_interval(Duration::from_secs(10))
            .seed(7);
        let view: Option<ChainView> = if self.sees_chain { Some(world.view().await) } else { None };
        let session = Session::open(config, self.backends(world), view).await.unwrap();
        session.journal.lock().dies_after = self.dies_in_line;
        let run = session.run(CancellationToken::new());
        matches!(tokio::time::timeout(Duration::from_mins(30), run).await, Ok(Ok(_)))
    }
}

/// A runtime of its own for a life: when it is gone, so is everything that the life had started.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap().block_on(future)
}

/// The last session has no faults. Then everything is there once and in order.
fn finish(world: &World, want: &[Published], sees_chain: bool) {
    let last = Life { sees_chain, interval: 60, ..Life::default() };
    assert!(block_on(last.live(world)), "a session without faults comes to its end");
    assert_eq!(block_on(world.published()), want);
    let announced = block_on(world.announced());
    let segments = block_on(world.segments());
    let mut places = announced.iter().map(|a| segments.iter().position(|s| s == a));
    assert!(places.all(|place| place.is_some()), "what was announced is what was pushed");
}

#[test]
fn a_session_may_die_in_any_line_of_its_journal() {
    for interval in [0, 25] {
        for sees_chain in [true, false] {
            let mut line = 0;
            loop {
                let world = World::new();
                let recorder = world.recorder("resumed").record_all();
                let faults = Vec::new();
                let life = Life { dies_in_line: Some(line), faults, sees_chain, interval };
                let done = block_on(life.live(&world));
                finish(&world, &recorder.all(&[3]), sees_chain);
                if done {
                    break;
                }
                line += 1;
            }
            // A stream, six segments, their storing, a push or more, the end: each was died in.
            assert!(line > 15, "{line}");
        }
    }
}

#[test]
fn a_session_may_die_with_any_of_its_calls_unanswered() {
    for interval in [0, 25] {
        for fault in [2, 3] {
            for call in 0..12 {
                let world = World::new();
                let recorder = world.recorder("resumed").record_all();
                // Every backend counts its own calls: the one that is lost hangs when it is tried again.
                let faults = [vec![0; call], vec![fault], vec![3; 99]].concat();
                let life = Life { faults, sees_chain: true, interval, ..Life::default() };
                block_on(life.live(&world));
                finish(&world, &recorder.all(&[3]), true);
            }
        }
    }
}

fn any_life() -> impl Strategy<Value = Life> {
    let fault =
        prop_oneof![8 => Just(0_u8), 2 => Just(1), 2 => Just(2), 1 => Just(3), 1 => Just(4)];
    let faults = prop::collection::vec(fault, 0..20);
    let dies = prop::option::weighted(0.7, 0_usize..20);
    let interval = prop::sample::select(vec![0_u64, 15, 300]);
    (dies, faults, any::<bool>(), interval).prop_map(
        |(dies_in_line, faults, sees_chain, interval)| Life {
            dies_in_line,
            faults,
            sees_chain,
            interval,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Lives with faults, each ended by a death or a refusal, while the recording goes on.
    #[test]
    fn nothing_is_lost_doubled_or_reused_whatever_happens(
        lives in prop::collection::vec((any_life(), 0_usize..3), 1..7),
        sees_chain: bool,
    ) {
        let world = World::new();
        let mut recorder = world.recorder("resumed");
        for (life, steps) in lives {
            for _ in 0..steps {
                recorder.step();
            }
            block_on(life.live(&world));
            block_on(world.indexed());
        }
        let recorder = recorder.record_all();
        finish(&world, &recorder.all(&[3]), sees_chain);
    }
}
