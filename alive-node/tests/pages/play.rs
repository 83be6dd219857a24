//! The pages in a real browser: they play, check, and take nobody's word.

use alive_core::{
    Timestamp,
    backend::{LiveCache as _, LiveSegment},
};
use alive_node::{NodeConfig, PagesConfig};
use alive_playlist::ListSettings;
use alive_storage::MemoryStorage;
use serde_json::{Value, json};

use crate::{
    driver::Browser,
    stage::{
        OtherGateway, Stage, of_fragments, push, push_fragment, renditions, sample,
        short_fragments, short_segments,
    },
    support::{config, configure, end, stream_id},
};

const WATCH: &str = "/watch/hive/alice/s";

/// A config with lists made for segments of one second.
fn short() -> NodeConfig {
    let list = ListSettings::default().target_seconds(1.try_into().unwrap());
    let playlists = config().playlists.list(list);
    config().playlists(playlists)
}

/// A config whose lists name a gateway.
fn through(gateway: &OtherGateway) -> NodeConfig {
    let mut config = config();
    config.playlists.list = config.playlists.list.gateway(gateway.url().parse().unwrap());
    config
}

fn host(stage: &Stage) -> String {
    stage.bench.node.address().to_string()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and npm"]
async fn a_recording_plays_and_every_segment_is_checked() {
    let mut stage = Stage::with(config()).await;
    stage.publish(&[("src", sample("ts-6x10s"))]).await;
    let mut browser = Browser::start();
    browser.open(&stage.url(WATCH));
    browser.until_played(3);
    browser.until_text("badge", "Verified · attested by hive");
    assert_eq!(browser.text("state"), "Recording");
    browser.until_text("proof-chain", "hive names all");
    browser.until_text("chains", "hive: 6 pushes, ");
    browser.until_text("chains", "ended, read up to block ");
    assert_eq!(browser.text("proof-gateways"), "none sent anything else");
    assert!(browser.evaluate("document.getElementById('edge').hidden").as_bool().unwrap());
    browser.screenshot("recording");
    browser.saw_nothing_wrong(&[host(&stage)]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and npm"]
async fn what_is_on_is_one_click_away() {
    let mut stage = Stage::with(config()).await;
    stage.publish(&[("src", sample("ts-6x10s"))]).await;
    let mut browser = Browser::start();
    browser.open(&stage.url("/"));
    browser.screenshot("home");
    browser.act("click", json!({ "selector": "ul.streams a" }));
    browser
        .until("location.pathname === '/watch/hive/alice/s' && document.getElementById('video')");
    browser.until_played(1);
    browser.saw_nothing_wrong(&[host(&stage)]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and npm"]
async fn a_recording_with_a_restart_in_it_plays_across_it() {
    let mut stage = Stage::with(config()).await;
    let mut segments = stage.record(&sample("resumed")).await;
    let mut payloads = vec![configure()];
    for (number, segment) in segments.iter_mut().enumerate() {
        let discontinuity = if number == 3 { r#","d":1"# } else { "" };
        let (id, len) = (segment.content, segment.duration);
        payloads.push(format!(
            r#"{{"op":0,"link":"s","seq":{number},"len":{len},"src":"{id}"{discontinuity}}}"#
        ));
    }
    payloads.push(end());
    stage.bench.block(&payloads).await;
    stage.bench.list_until("/stream/alice/s", |list| list.listed().len() == 6).await;
    let mut browser = Browser::start();
    browser.open(&stage.url(&format!("{WATCH}?t=26")));
    browser.until_played(33);
    let length = browser.evaluate("document.getElementById('video').duration");
    assert!((length.as_f64().unwrap() - 57.0).abs() < 0.5, "{length}");
    browser.saw_nothing_wrong(&[host(&stage)]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium, npm and ffmpeg"]
async fn a_live_stream_plays_as_it_grows_and_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    short_segments(folder.path(), 12);
    let mut stage = Stage::with(short()).await;
    let segments = stage.record(folder.path()).await;
    // Each is more than one block, so that whole trees are checked.
    assert!(segments.iter().all(|segment| segment.content.to_string().starts_with("Qm")));
    stage.bench.block(&[configure()]).await;

    let mut browser = Browser::start();
    browser.open(&stage.url(WATCH));
    browser.until_text("message", "The stream has not begun");

    let announce = async |stage: &Stage, from: usize, to: usize| {
        for segment in &segments[from..to] {
            let live = LiveSegment {
                segment: *segment,
                renditions: alive_core::Renditions::default(),
                at: Timestamp::from_unix_secs(1_700_000_000),
            };
            stage.bench.live.push(&stream_id(), live).await.unwrap();
        }
    };
    announce(&stage, 0, 5).await;
    browser.until_played(1);
    browser.until_text("proof-chain", "the live layer announced the others");
    assert_eq!(browser.text("state"), "Live");
    assert!(!browser.evaluate("document.getElementById('edge').hidden").as_bool().unwrap());

    announce(&stage, 5, 9).await;
    browser.until_played(7);
    assert!(browser.text("badge").starts_with("Verified"));

    let renditions = [("src", segments.clone())];
    let mut payloads: Vec<_> =
        (0..segments.len()).map(|number| push(number, &renditions)).collect();
    payloads.push(end());
    stage.bench.block(&payloads).await;
    browser.until_text("state", "Recording");
    browser.until_text("proof-chain", "hive names all");
    browser.until("document.getElementById('video').ended");
    let length = browser.evaluate("document.getElementById('video').duration");
    assert!((length.as_f64().unwrap() - 12.0).abs() < 0.5, "{length}");
    browser.screenshot("ended");
    browser.saw_only("status of 503", &[host(&stage)]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium, npm and ffmpeg"]
async fn a_viewer_who_went_back_goes_to_the_live_edge_with_one_click() {
    let folder = tempfile::tempdir().unwrap();
    short_segments(folder.path(), 20);
    let mut stage = Stage::with(short()).await;
    let renditions = [("src", stage.record(folder.path()).await)];
    let mut payloads = vec![configure()];
    payloads.extend((0..renditions[0].1.len()).map(|number| push(number, &renditions)));
    stage.bench.block(&payloads).await;
    stage.bench.list_until("/stream/alice/s", |list| list.listed().len() == 20).await;
    let mut browser = Browser::start();
    browser.open(&stage.url(WATCH));
    browser.until_played(15);
    assert!(browser.evaluate("document.getElementById('edge').disabled").as_bool().unwrap());
    browser.evaluate("document.getElementById('video').currentTime = 1");
    browser.until("!document.getElementById('edge').disabled");
    browser.act("click", json!({ "selector": "#edge" }));
    browser.until("document.getElementById('video').currentTime >= 15");
    browser.screenshot("live");
    browser.saw_only("status of 503", &[host(&stage)]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and npm"]
async fn a_viewer_on_a_phone_chooses_the_quality() {
    let mut stage = Stage::with(config()).await;
    stage.publish(&renditions()).await;
    let mut browser = Browser::start();
    browser.open_on_phone(&stage.url(WATCH));
    browser.until_played(2);
    let options = "[...document.getElementById('quality').options].map((o) => o.textContent)";
    let offered = browser.evaluate(options);
    let offered: Vec<_> = offered.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(offered[1..], ["240p", "480p", "Source (720p)"], "{offered:?}");
    assert!(offered[0].starts_with("Automatic"), "{offered:?}");
    for (label, height) in [("240p", 240), ("Source (720p)", 720)] {
        let value = browser.evaluate(&format!(
            "[...document.getElementById('quality').options].find((o) => o.textContent === '{label}').value"
        ));
        browser.act("select", json!({ "selector": "#quality", "value": value }));
        browser.until(&format!("document.getElementById('video').videoHeight === {height}"));
    }
    browser.until_text("proof-chain", "hive names all");
    // Nothing has to be pushed sideways.
    let overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
    assert_eq!(browser.evaluate(overflow), 0);
    browser.screenshot("phone");
    browser.saw_nothing_wrong(&[host(&stage)]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and npm"]
async fn a_link_may_name_time_and_quality() {
    let mut stage = Stage::with(config()).await;
    stage.publish(&renditions()).await;
    let mut browser = Browser::start();
    browser.open(&stage.url(&format!("{WATCH}?t=31&q=480")));
    browser.until_played(33);
    assert_eq!(browser.evaluate("document.getElementById('video').videoHeight"), 480);
    let chosen =
        browser.evaluate("document.getElementById('quality').selectedOptions[0].textContent");
    assert_eq!(chosen, "480p");
    browser.saw_nothing_wrong(&[host(&stage)]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and npm"]
async fn a_lying_gateway_is_dropped_and_the_next_one_asked() {
    let content = MemoryStorage::default();
    let liar = OtherGateway::liar(&content).await;
    let honest = OtherGateway::honest(&content).await;
    let pages = PagesConfig::default().gateway(honest.url().parse().unwrap());
    // The node itself has nothing, so only the two can give it.
    let mut stage = Stage::over(through(&liar).pages(pages), content, None).await;
    stage.publish(&[("src", sample("ts-6x10s"))]).await;
    let mut browser = Browser::start();
    browser.open(&stage.url(WATCH));
    browser.until_played(3);
    browser.until_text("badge", "Verified, 1 lying gateway dropped · attested by hive");
    assert_eq!(browser.text("proof-gateways"), "1 dropped for sending something else");
    let listed = browser.text("gateways");
    let dropped = format!("{}: dropped, archive: a block is not what its id says", liar.url());
    assert!(listed.contains(&dropped), "{listed}");
    assert!(listed.contains(&format!("{}: ready", honest.url())), "{listed}");
    assert_eq!(liar.asked(), 1, "it is asked once and never again");
    assert!(honest.asked() >= 2);
    browser.evaluate("document.querySelector('details').open = true");
    browser.screenshot("liar");
    browser.saw_nothing_wrong(&[
        host(&stage),
        liar.address.to_string(),
        honest.address.to_string(),
    ]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and npm"]
async fn nothing_is_played_when_all_gateways_lie() {
    let content = MemoryStorage::default();
    let liar = OtherGateway::liar(&content).await;
    let mut stage = Stage::over(through(&liar), content, None).await;
    stage.publish(&[("src", sample("ts-6x10s"))]).await;
    let mut browser = Browser::start();
    browser.open(&stage.url(WATCH));
    browser.until_text("message", "No gateway has the next part of the stream");
    let played = browser.evaluate(
        "(() => { const v = document.getElementById('video'); \
         return [v.currentTime, v.buffered.length, v.getVideoPlaybackQuality().totalVideoFrames]; })()",
    );
    assert_eq!(played, json!([0, 0, 0]));
    assert_eq!(browser.text("badge"), "Nothing played yet");
    assert_eq!(liar.asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and npm"]
async fn a_name_that_is_a_script_is_shown_and_never_run() {
    let hostile = "\"><script>alert(1)</script><img src=x onerror=alert(2)>";
    let mut stage = Stage::with(config()).await;
    let segments = stage.record(&sample("ts-6x10s")).await;
    let account: alive_core::AccountName = hostile.parse().unwrap();
    let renditions = [("src", segments)];
    for payload in [configure(), push(0, &renditions), push(1, &renditions), end()] {
        assert!(stage.bench.chain.submit(account.clone(), payload));
    }
    stage.bench.block(&[]).await;
    let part = percent_encoding::utf8_percent_encode(hostile, percent_encoding::NON_ALPHANUMERIC);
    let mut browser = Browser::start();
    browser.open(&stage.url(&format!("/watch/hive/{part}/s")));
    browser.until_played(2);
    let heading = browser.evaluate("document.querySelector('h1').textContent");
    assert_eq!(heading, format!("{hostile}/s"));
    assert_eq!(browser.evaluate("document.scripts.length"), 1);
    browser.saw_nothing_wrong(&[host(&stage)]);
    // Even what somebody brings into the page does not run.
    browser.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"alert(3)\">'); \
         const s = document.createElement('script'); s.textContent = 'alert(4)'; \
         document.body.append(s);",
    );
    browser.until("new Promise((later) => setTimeout(() => later(true), 300))");
    let seen = browser.act("seen", json!({}));
    assert_eq!(seen["dialogs"], json!([]), "{seen}");
    assert_eq!(seen["violations"].as_array().unwrap().len(), 2, "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and npm"]
async fn the_player_plays_in_the_page_of_a_dapp_and_the_watch_page_does_not() {
    let mut stage = Stage::with(config()).await;
    stage.publish(&[("src", sample("ts-6x10s"))]).await;
    let frame = |root| {
        let url = stage.url(&format!("/{root}/hive/alice/s"));
        format!("<iframe id={root} src='{url}' allow='autoplay' width=640 height=360></iframe>")
    };
    let page = format!("<!doctype html><title>A DApp</title>{}{}", frame("embed"), frame("watch"));
    let dapp = OtherGateway::page(page).await;
    let mut browser = Browser::start();
    browser.open(&dapp.url());
    let inside = browser.act("frame", json!({ "selector": "#embed", "seconds": 3 }));
    assert!(inside["badge"].as_str().unwrap().starts_with("Verified"), "{inside}");
    assert!(inside["frames"].as_u64().unwrap() > 15, "{inside}");
    browser.screenshot("embed");
    let refused = browser.act("framed", json!({ "selector": "#watch" }));
    assert_eq!(refused, false, "the watch page must not stand in a frame");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and npm"]
async fn keys_and_names_of_controls_serve_who_has_no_mouse_or_sees_no_page() {
    let mut stage = Stage::with(config()).await;
    stage.publish(&renditions()).await;
    let mut browser = Browser::start();
    browser.open(&stage.url(WATCH));
    browser.until_played(2);
    browser.act("press", json!({ "key": "k" }));
    browser.until("document.getElementById('video').paused");
    browser.act("press", json!({ "key": "l" }));
    browser.until("document.getElementById('video').currentTime >= 12");
    browser.act("press", json!({ "key": "m" }));
    browser.until("document.getElementById('video').muted");
    browser.act("press", json!({ "key": "k" }));
    browser.until("!document.getElementById('video').paused");

    browser.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))");
    let controls = browser.act("controls", json!({}));
    let controls = controls.as_array().unwrap();
    for control in controls {
        let (role, name) = (control[0].as_str().unwrap(), control[1].as_str().unwrap());
        let named = ["button", "combobox", "textbox", "link", "RootWebArea"].contains(&role);
        assert!(!named || !name.is_empty(), "{control} has no name: {controls:?}");
    }
    let has = |role: &str, name: &str| {
        controls.iter().any(|c| c[0] == role && c[1].as_str().unwrap().trim() == name)
    };
    assert!(has("combobox", "Quality") && has("textbox", "Link"), "{controls:?}");
    assert!(has("button", "Copy the link") && has("heading", "alice/s"), "{controls:?}");
    let link = browser.evaluate("document.getElementById('share-link').value");
    assert_eq!(link, stage.url(WATCH));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium, npm and ffmpeg"]
async fn fragments_play_across_a_restart_and_their_sections_are_checked_live_and_after_the_end() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    short_fragments(folders[0].path(), 5, "640x360");
    short_fragments(folders[1].path(), 5, "320x180");
    let mut stage = Stage::with(short()).await;
    let mut all = Vec::new();
    for folder in &folders {
        let section = stage.section(folder.path()).await;
        let segments = stage.record(folder.path()).await;
        all.extend(segments.into_iter().map(|segment| (segment, section)));
    }
    assert_ne!(all[0].1, all[9].1);
    let push = |(number, (segment, section)): (usize, &(_, _))| {
        push_fragment(number, segment, section, number == 5)
    };
    let mut pushes: Vec<_> = all.iter().enumerate().map(push).collect();
    let later = pushes.split_off(5);
    pushes.insert(0, configure());
    stage.bench.block(&pushes).await;
    let mut browser = Browser::start();
    browser.open(&stage.url(&format!("{WATCH}?t=0")));
    browser.until_played(1);
    // Five segments and the section, each compared with its id.
    browser.until_text("proof-checked", "6 segments");
    stage.bench.block(&later).await;
    stage.bench.block(&[end()]).await;
    browser.until_text("state", "Recording");
    browser.until("document.getElementById('video').ended");
    assert_eq!(browser.evaluate("document.getElementById('video').videoHeight"), 180);
    let length = browser.evaluate("document.getElementById('video').duration");
    assert!((length.as_f64().unwrap() - 10.0).abs() < 0.5, "{length}");
    browser.until_text("proof-checked", "12 segments");
    browser.until_text("badge", "Verified · attested by hive");
    browser.saw_nothing_wrong(&[host(&stage)]);
}

/// The list of renditions says what ffprobe says of the recordings, and the player goes by it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium, npm and ffmpeg"]
async fn a_viewer_chooses_among_renditions_of_fragments() {
    let sizes = [("src", "640x360"), ("240", "426x240"), ("480", "854x480")];
    let mut stage = Stage::with(short()).await;
    let (mut renditions, mut want) = (Vec::new(), Vec::new());
    for (name, size) in sizes {
        let folder = tempfile::tempdir().unwrap();
        short_fragments(folder.path(), 8, size);
        let segments = stage.record(folder.path()).await;
        renditions.push((name, segments, stage.section(folder.path()).await));
        want.push((size.to_owned(), profile_and_level(folder.path())));
    }
    stage.bench.block(&of_fragments(&renditions)).await;
    stage.bench.list_until("/stream/alice/s", crate::support::Answer::ended).await;
    let master = stage.bench.get("/stream/alice/s/master.m3u8").await;
    let list = alive_playlist::MultivariantPlaylist::read(&master.body).unwrap();
    for (variant, (size, (profile, level))) in list.variants.iter().zip(want) {
        let told = variant.resolution.map(|size| format!("{}x{}", size.width, size.height));
        assert_eq!(told, Some(size), "{}", master.text());
        let codecs = variant.codecs.as_ref().unwrap().as_str();
        let codec = format!("avc1.{profile:02x}");
        assert!(codecs.starts_with(&codec), "{codecs} {codec}");
        assert!(codecs.ends_with(&format!("{level:02x},mp4a.40.2")), "{codecs} {level}");
        assert_eq!(variant.frame_rate.as_ref().unwrap().as_str(), "15.000");
    }
    assert_eq!(list.variants.len(), sizes.len());

    let mut browser = Browser::start();
    browser.open(&stage.url(WATCH));
    browser.until_played(1);
    for (label, height) in [("240p", 240), ("480p", 480), ("Source (360p)", 360)] {
        let value = browser.evaluate(&format!(
            "[...document.getElementById('quality').options].find((o) => o.textContent === '{label}').value"
        ));
        browser.act("select", json!({ "selector": "#quality", "value": value }));
        browser.evaluate("document.getElementById('video').currentTime = 1");
        browser.until(&format!("document.getElementById('video').videoHeight === {height}"));
    }
    browser.until_text("badge", "Verified · attested by hive");
    browser.saw_nothing_wrong(&[host(&stage)]);
}

/// Of the video of a recording: its profile's number and its level, as ffprobe tells them.
fn profile_and_level(folder: &std::path::Path) -> (u8, u8) {
    let output = std::process::Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v:0", "-of", "json"])
        .args(["-show_entries", "stream=profile,level"])
        .arg(folder.join("stream.m3u8"))
        .output()
        .unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let profile = match told["streams"][0]["profile"].as_str().unwrap() {
        "Constrained Baseline" => 66,
        "Main" => 77,
        "High" => 100,
        other => panic!("{other}"),
    };
    (profile, told["streams"][0]["level"].as_u64().unwrap().try_into().unwrap())
}
