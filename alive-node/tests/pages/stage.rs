//! A node that serves recordings, and gateways that lie.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use alive_core::{
    ContentId, Segment,
    backend::{SharedStorage, Storage as _},
};
use alive_node::{NodeConfig, ServerLimits, SharedContentReader, serve};
use alive_playlist::MediaPlaylist;
use alive_storage::{MemoryStorage, serve::Gateway};
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderValue, header},
    middleware::map_response,
    response::Response,
};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::{Bench, configure, end};

/// A node with content of its own.
pub(crate) struct Stage {
    pub(crate) bench: Bench,
    pub(crate) content: MemoryStorage,
}

impl Stage {
    pub(crate) async fn with(config: NodeConfig) -> Self {
        let content = MemoryStorage::default();
        Self::over(config, content.clone(), Some(content)).await
    }

    /// A node that itself serves only what `served` has.
    pub(crate) async fn over(
        config: NodeConfig,
        content: MemoryStorage,
        served: Option<MemoryStorage>,
    ) -> Self {
        let chunks = alive_core::memory::MemoryStorage::default();
        let shared = SharedStorage::new(chunks.clone());
        let bench = Bench::over(config, chunks, shared, |backends| match served {
            None => backends,
            Some(served) => backends.content(SharedContentReader::new(served)),
        })
        .await;
        Self { bench, content }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.bench.node.address())
    }

    /// Stores what a recorder wrote into a folder, and names the segments.
    pub(crate) async fn record(&self, folder: &Path) -> Vec<Segment> {
        let text = fs::read(folder.join("stream.m3u8")).unwrap();
        let list = MediaPlaylist::read(&text).unwrap();
        let mut segments = Vec::new();
        for segment in list.segments() {
            let bytes = fs::read(folder.join(segment.uri.as_str())).unwrap();
            let id = self.content.put(bytes.into()).await.unwrap();
            let length = format!("{:.3}", segment.duration.as_duration().as_secs_f64());
            segments.push(Segment::new(id, length.parse().unwrap()));
        }
        segments
    }

    /// Stores the initialisation section of a recording of fragments.
    pub(crate) async fn section(&self, folder: &Path) -> ContentId {
        let bytes = fs::read(folder.join("init.mp4")).unwrap();
        self.content.put(bytes.into()).await.unwrap()
    }

    /// Publishes a recording with these renditions, each a folder of its own, up to its end.
    pub(crate) async fn publish(&mut self, renditions: &[(&str, PathBuf)]) {
        let mut recorded = Vec::new();
        for (name, folder) in renditions {
            recorded.push((*name, self.record(folder).await));
        }
        let count = recorded.iter().map(|(_, segments)| segments.len()).min().unwrap();
        let mut payloads = vec![configure()];
        for number in 0..count {
            payloads.push(push(number, &recorded));
        }
        payloads.push(end());
        self.bench.block(&payloads).await;
        let whole = |list: &crate::support::Answer| list.ended() && list.listed().len() == count;
        self.bench.list_until("/stream/alice/s", whole).await;
    }
}

/// A direct push of one segment in all its renditions.
pub(crate) fn push(number: usize, renditions: &[(&str, Vec<Segment>)]) -> String {
    let fields = renditions.iter().map(|(name, segments)| {
        let id: ContentId = segments[number].content;
        format!(r#""{name}":"{id}""#)
    });
    let fields: Vec<_> = fields.collect();
    let len = renditions[0].1[number].duration;
    format!(r#"{{"op":0,"link":"s","seq":{number},"len":{len},{}}}"#, fields.join(","))
}

/// A push of fragments, behind a discontinuity or not.
pub(crate) fn push_fragment(number: usize, one: &Segment, section: &ContentId, d: bool) -> String {
    let push = push(0, &[("src", vec![*one])]).replace(r#""seq":0"#, &format!(r#""seq":{number}"#));
    let d = if d { r#","d":1"# } else { "" };
    format!(r#"{}{d},"map":"{section}"}}"#, push.strip_suffix('}').unwrap())
}

/// Payloads that publish renditions of fragments up to their end, each with the section of its own.
pub(crate) fn of_fragments(renditions: &[(&str, Vec<Segment>, ContentId)]) -> Vec<String> {
    let count = renditions.iter().map(|(_, segments, _)| segments.len()).min().unwrap();
    let push = |number: usize| {
        let fields = renditions.iter().map(|(name, segments, section)| {
            let map = if *name == "src" { String::new() } else { (*name).to_owned() };
            format!(r#","{name}":"{}","map{map}":"{section}""#, segments[number].content)
        });
        let (len, fields) = (renditions[0].1[number].duration, fields.collect::<String>());
        format!(r#"{{"op":0,"link":"s","seq":{number},"len":{len}{fields}}}"#)
    };
    [configure()].into_iter().chain((0..count).map(push)).chain([end()]).collect()
}

/// A sample recording.
pub(crate) fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors/media").join(name)
}

/// The sample with three renditions.
pub(crate) fn renditions() -> [(&'static str, PathBuf); 3] {
    [("src", "src"), ("240", "240p"), ("480", "480p")]
        .map(|(name, folder)| (name, sample("abr-3").join(folder)))
}

/// Records segments of one second, so noisy that each is a tree of several blocks.
pub(crate) fn short_segments(folder: &Path, seconds: u32) {
    record(folder, seconds, "640x360", &[]);
}

/// The same as fragments of MP4, in a picture of this size.
pub(crate) fn short_fragments(folder: &Path, seconds: u32, size: &str) {
    record(folder, seconds, size, &["-hls_segment_type", "fmp4"]);
}

/// Parts of half a second, every other one of which begins with a key frame. Each is a fragment of its own; several behind
/// each other are a segment.
pub(crate) fn short_parts(folder: &Path, seconds: u32, size: &str) {
    let half = ["-hls_segment_type", "fmp4", "-hls_time", "0.5", "-hls_flags", "split_by_time"];
    record(folder, seconds, size, &half);
}

fn record(folder: &Path, seconds: u32, size: &str, options: &[&str]) {
    let source = format!("testsrc2=size={size}:rate=15,noise=alls=60:allf=t");
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", &source])
        .args(["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100"])
        .args(["-t", &seconds.to_string(), "-c:v", "libx264", "-preset", "ultrafast"])
        .args(["-pix_fmt", "yuv420p", "-g", "15", "-keyint_min", "15", "-sc_threshold", "0"])
        .args(["-b:v", "4M", "-minrate", "4M", "-c:a", "aac", "-ac", "1", "-f", "hls"])
        .args(["-hls_time", "1", "-hls_list_size", "0", "-hls_playlist_type", "event"])
        .args(options)
        .arg(folder.join("stream.m3u8"))
        .status()
        .unwrap();
    assert!(status.success());
}

/// A gateway over content, honest or not.
pub(crate) struct OtherGateway {
    pub(crate) address: SocketAddr,
    asked: Arc<AtomicUsize>,
    _stops: DropGuard,
}

impl OtherGateway {
    /// One that gives what it has.
    pub(crate) async fn honest(content: &MemoryStorage) -> Self {
        Self::start(content, |body| body).await
    }

    /// One that changes a bit of everything.
    pub(crate) async fn liar(content: &MemoryStorage) -> Self {
        Self::start(content, |mut body| {
            let near_end = body.len() - body.len() / 4;
            if let Some(byte) = body.get_mut(near_end) {
                *byte ^= 1;
            }
            body
        })
        .await
    }

    /// How often it was asked for content.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    async fn start(content: &MemoryStorage, change: fn(Vec<u8>) -> Vec<u8>) -> Self {
        let asked = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&asked);
        let router: Router = Gateway::new(Some(SharedContentReader::new(content.clone()))).router();
        let router = router.layer(map_response(move |response: Response| {
            count.fetch_add(1, Ordering::SeqCst);
            async move {
                let (mut head, body) = response.into_parts();
                let any = HeaderValue::from_static("*");
                head.headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
                let body = to_bytes(body, usize::MAX).await.unwrap();
                Response::from_parts(head, Body::from(change(body.into())))
            }
        }));
        Self::serve(router, asked).await
    }

    async fn serve(router: Router, asked: Arc<AtomicUsize>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cancel = CancellationToken::new();
        tokio::spawn(serve(listener, router, ServerLimits::default(), cancel.clone()));
        Self { address, asked, _stops: cancel.drop_guard() }
    }

    /// A server with a page of its own at `/`.
    pub(crate) async fn page(text: String) -> Self {
        let text = axum::response::Html(text);
        let router = Router::new().route("/", axum::routing::get(async move || text));
        Self::serve(router, Arc::default()).await
    }
}
