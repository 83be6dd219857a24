// The watch page: plays a stream, and shows what was checked. What it plays stands in the page as data, see `watch.rs`.

import Hls from "./hls.light.min.mjs";
import { Attestation } from "./attestation.mjs";
import { Gateways } from "./gateways.mjs";
import { verifyingLoader } from "./loader.mjs";

/** The wait before a list that cannot be had is asked for again; it doubles each time. */
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 15_000;
/** Farther than this behind the live edge, in seconds, a viewer is offered to go there. */
const BEHIND_SECONDS = 6;
/** How often the chains are asked what they have of a live stream. */
const CHAINS_MS = 10_000;
/** How far the arrow keys and their neighbours go, in seconds. */
const STEP_SECONDS = 10;

const stage = document.getElementById("stage");
const video = document.getElementById("video");
const query = new URLSearchParams(location.search);
const find = (id) => document.getElementById(id);

/** What the page knows about what it has played. */
const proof = { checked: 0, parts: 0, bytes: 0, unchecked: 0, native: false };

const gateways = new Gateways(JSON.parse(stage.dataset.gateways), { changed: showProof });
const attestation = new Attestation(stage.dataset.segments, showProof);
let player = null;
let retries = 0;
let chainsAsked = -Infinity;

if (Hls.isSupported()) start();
else if (video.canPlayType("application/vnd.apple.mpegurl")) startNative();
else say("This browser cannot play HLS.");
keys();
share();
showProof();

function start() {
  const from = Number(query.get("t"));
  player = new Hls({
    fLoader: verifyingLoader(gateways, told),
    workerPath: new URL("./hls.worker.js", import.meta.url).href,
    startPosition: query.has("t") && from >= 0 ? from : -1,
    // The list is complete; what is far behind is loaded again when somebody goes back.
    backBufferLength: 60,
    capLevelToPlayerSize: true,
    // Parts are played where the list has them.
    lowLatencyMode: true,
  });
  player.on(Hls.Events.MANIFEST_PARSED, () => {
    offerQualities();
    play();
  });
  player.on(Hls.Events.LEVEL_LOADED, () => {
    retries = 0;
    say("");
    showEdge();
    showChains();
  });
  player.on(Hls.Events.LEVEL_SWITCHED, showQuality);
  player.on(Hls.Events.FRAG_BUFFERED, () => say(""));
  player.on(Hls.Events.ERROR, (_, data) => failed(data));
  video.addEventListener("timeupdate", showEdge);
  player.attachMedia(video);
  player.loadSource(stage.dataset.list);
}

/** A browser that plays HLS by itself, and lets nobody look at what it plays. */
function startNative() {
  proof.native = true;
  video.src = stage.dataset.list;
  video.addEventListener("error", () => say("The stream cannot be played."));
  play();
}

function play() {
  if (query.get("autoplay") === "0") return;
  // A browser that lets nothing sound before somebody has clicked leaves it to the viewer.
  video.play().catch(() => {});
}

/** hls.js has no way out of a fatal error but what is done here. */
function failed({ fatal, type, details }) {
  if (!fatal) return;
  if (type === Hls.ErrorTypes.MEDIA_ERROR && retries < 3) {
    retries += 1;
    player.recoverMediaError();
    return;
  }
  const empty = details === Hls.ErrorDetails.LEVEL_EMPTY_ERROR || details === Hls.ErrorDetails.MANIFEST_PARSING_ERROR;
  const lost = details === Hls.ErrorDetails.FRAG_LOAD_ERROR || details === Hls.ErrorDetails.FRAG_LOAD_TIMEOUT;
  if (empty) say("The stream has not begun. This page waits for it.");
  else if (lost) say("No gateway has the next part of the stream. This page goes on trying.");
  else say("The stream cannot be had at the moment. This page goes on trying.");
  const wait = Math.min(FIRST_RETRY_MS * 2 ** retries, LONGEST_RETRY_MS);
  retries += 1;
  setTimeout(() => {
    if (player.levels.length > 0 && !empty) player.startLoad();
    else player.loadSource(stage.dataset.list);
  }, wait);
}

/** A segment was loaded, or a part of one. Chains name no parts: of those nothing but their bytes can be checked. */
function told({ frag, part, id, size }) {
  if (!id) {
    proof.unchecked += 1;
  } else {
    proof.checked += 1;
    proof.bytes += size;
    if (part) proof.parts += 1;
    else if (typeof frag.sn === "number") attestation.played(qualityOf(player.levels[frag.level]), frag.sn, id);
  }
  showProof();
}

// What was checked.

function showProof() {
  const dropped = gateways.report().filter(({ state }) => state === "dropped").length;
  const [state, text] = verdict(dropped);
  const by = state === "good" ? attestation.byline(stage.dataset.network) : "";
  const badge = find("badge");
  badge.dataset.state = state;
  setText(badge, by ? `${text} · ${by}` : text);
  const pieces = proof.parts > 0 ? `${proof.checked - proof.parts} segments, ${proof.parts} parts` : `${proof.checked} segments`;
  setText(find("proof-checked"), `${pieces}, ${size(proof.bytes)}`);
  setText(find("proof-chain"), attestation.summary(stage.dataset.network));
  // The list of an ended stream is loaded once, but what a fork could take back becomes final later.
  if (chainsAsked > 0) showChains();
  const note = dropped > 0 ? `${dropped} dropped for sending something else` : "none sent anything else";
  setText(find("proof-gateways"), note);
  // The embedded player shows the badge alone.
  find("gateways")?.replaceChildren(
    ...gateways.report().map(({ base, state, why }) => {
      const item = document.createElement("li");
      item.dataset.state = state;
      item.textContent = `${base || "this node"}: ${why ? `${state}, ${why}` : state}`;
      return item;
    }),
  );
}

/** What each chain has of the stream. */
async function showChains() {
  const list = find("chains");
  if (!list || performance.now() - chainsAsked < CHAINS_MS) return;
  chainsAsked = performance.now();
  const response = await fetch(stage.dataset.stream).catch(() => null);
  if (!response?.ok) return;
  const { attestations } = await response.json();
  attestation.expect(attestations.map(({ network }) => network));
  list.replaceChildren(
    ...attestations.map((chain) => {
      const { network, stream, pushes, reversible_pushes: open, ended, last_block: block } = chain;
      const item = document.createElement("li");
      const elsewhere = network === stage.dataset.network ? "" : `, as ${stream}`;
      const final = open > 0 ? `, ${open} of them not yet for good` : "";
      item.textContent =
        `${network}: ${pushes} pushes${final}${ended ? ", ended" : ""}, read up to block ${block}, ` +
        `for good up to ${chain.irreversible_block}${elsewhere}`;
      return item;
    }),
  );
}

function verdict(dropped) {
  if (proof.native) return ["none", "Not verified: this browser plays without letting the page check"];
  if (proof.unchecked > 0) return ["none", "Not verified: content that this page cannot check"];
  if (proof.checked === 0) return ["wait", "Nothing played yet"];
  return ["good", dropped > 0 ? `Verified, ${dropped} lying gateway${dropped > 1 ? "s" : ""} dropped` : "Verified"];
}

function size(bytes) {
  return bytes < 1e6 ? `${Math.round(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

// Qualities.

function offerQualities() {
  const select = find("quality");
  const levels = player.levels.map((level, index) => ({ index, name: qualityOf(level), label: qualityLabel(level) }));
  const options = levels.map(({ index, label }) => new Option(label, String(index)));
  select.replaceChildren(new Option("Automatic", "-1"), ...options);
  select.disabled = levels.length < 2;
  const wanted = levels.find(({ name }) => name === query.get("q"));
  if (wanted) {
    player.currentLevel = wanted.index;
    select.value = String(wanted.index);
  }
  select.onchange = () => {
    player.nextLevel = Number(select.value);
    showQuality();
  };
  showQuality();
}

function showQuality() {
  const automatic = find("quality").options[0];
  const level = player.levels[player.currentLevel];
  if (player.levels.length === 1 && level) return setText(automatic, qualityLabel(level));
  const now = player.autoLevelEnabled && level ? ` (${qualityLabel(level)})` : "";
  if (automatic) setText(automatic, `Automatic${now}`);
}

/** The quality as the protocol names it. */
function qualityOf(level) {
  return new URL(level?.url[0] ?? location.href, location.href).searchParams.get("quality") ?? "src";
}

function qualityLabel(level) {
  const name = qualityOf(level);
  if (name !== "src") return `${name}p`;
  return level.height ? `Source (${level.height}p)` : "Source";
}

// The live edge.

function showEdge() {
  const details = player.latestLevelDetails ?? player.levels[player.currentLevel]?.details;
  const live = details?.live ?? false;
  const edge = player.liveSyncPosition;
  const behind = live && edge !== null ? edge - video.currentTime : 0;
  const state = find("state");
  state.dataset.live = String(live);
  if (details) setText(state, live ? "Live" : "Recording");
  const button = find("edge");
  button.hidden = !live;
  button.disabled = behind < BEHIND_SECONDS;
}

function goLive() {
  if (player?.liveSyncPosition) video.currentTime = player.liveSyncPosition;
  video.play().catch(() => {});
}

// Keys, beside those of the browser's own controls.

function keys() {
  find("edge").addEventListener("click", goLive);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, button, summary")) return;
    const act = {
      k: () => (video.paused ? video.play().catch(() => {}) : video.pause()),
      m: () => (video.muted = !video.muted),
      f: () => (document.fullscreenElement ? document.exitFullscreen() : video.requestFullscreen?.()),
      e: goLive,
      j: () => (video.currentTime = Math.max(0, video.currentTime - STEP_SECONDS)),
      l: () => (video.currentTime += STEP_SECONDS),
    }[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    act();
  });
}

// Sharing.

function share() {
  for (const button of document.querySelectorAll("button[data-copies]")) {
    const field = find(button.dataset.copies);
    field.value = field.value.replaceAll("{origin}", location.origin);
    button.addEventListener("click", async () => {
      field.select();
      // Without https a page cannot write to the clipboard: then the text is selected, ready to be copied.
      const copied = await navigator.clipboard?.writeText(field.value).then(
        () => true,
        () => false,
      );
      setText(button, copied ? "Copied" : "Selected");
      setTimeout(() => setText(button, "Copy"), 2_000);
    });
  }
}

function say(text) {
  setText(find("message"), text);
}

/** Changes a text only if it is another one, so that readers of the screen do not read it again. */
function setText(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}
