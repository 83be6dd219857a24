// A browser that does what it is told, a line of JSON at a time, and answers each with one: `{"ok":…}` or `{"error":…}`.

import { createInterface } from "node:readline";
import puppeteer from "puppeteer-core";

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  headless: true,
  args: ["--no-sandbox", "--autoplay-policy=no-user-gesture-required", "--disable-gpu", "--mute-audio"],
});
const page = await browser.newPage();
/** What a test may want to know about what happened. */
const seen = { errors: [], dialogs: [], hosts: [], violations: [] };
/** What a wallet in the browser was asked for, and whether its owner says no. */
const keychain = { asked: [], refuses: false };
page.on("pageerror", (error) => seen.errors.push(String(error)));
page.on("console", (message) => {
  if (message.type() === "error") seen.errors.push(message.text());
});
page.on("dialog", async (dialog) => {
  seen.dialogs.push(dialog.message());
  await dialog.dismiss();
});
page.on("request", (request) => {
  const { protocol, host } = new URL(request.url());
  if (protocol.startsWith("http") && !seen.hosts.includes(host)) seen.hosts.push(host);
});
await page.exposeFunction("toldOfViolation", (text) => seen.violations.push(text));
await page.evaluateOnNewDocument(() => {
  addEventListener("securitypolicyviolation", ({ effectiveDirective, blockedURI }) =>
    window.toldOfViolation(`${effectiveDirective} ${blockedURI}`),
  );
});

const acts = {
  async open({ url, width = 1280, height = 800, phone = false }) {
    await page.setViewport({ width, height, isMobile: phone, hasTouch: phone, deviceScaleFactor: phone ? 2 : 1 });
    return (await page.goto(url, { waitUntil: "domcontentloaded" })).status();
  },
  /** Looks again and again until an expression is true, and gives its value. */
  async until({ expression, ms = 40_000 }) {
    const end = Date.now() + ms;
    for (;;) {
      // A page that is being left has no answer; the next one is asked.
      const value = await page.evaluate(expression).catch((error) => {
        if (!/context was destroyed/.test(error.message)) throw error;
      });
      if (value) return value;
      if (Date.now() > end) throw new Error(`not within ${ms} ms: ${expression}`);
      await new Promise((later) => setTimeout(later, 100));
    }
  },
  async evaluate({ expression }) {
    return (await page.evaluate(expression)) ?? null;
  },
  async click({ selector }) {
    await page.click(selector);
  },
  /** Replaces what stands in a field, as a person does. */
  async fill({ selector, text }) {
    await page.click(selector, { count: 3 });
    await page.keyboard.press("Backspace");
    await page.type(selector, text);
  },
  /** Runs a script in every page before those of the page. */
  async before({ script }) {
    await page.evaluateOnNewDocument(script);
  },
  /** Gives pages a Hive Keychain whose key no page sees, made of the files in `assets`. */
  async keychain({ account, key, assets }) {
    const { PageKey } = await import(`${assets}/chat-sign.mjs`);
    const wallet = new PageKey(key, false);
    await page.exposeFunction("askKeychain", async (...asked) => {
      keychain.asked.push(asked);
      const [name, message, type] = asked;
      if (keychain.refuses || name !== account) {
        return { success: false, error: "user_cancel", result: null, message: "Request was canceled by the user.", request_id: 1 };
      }
      const { s: result } = await wallet.sign(message);
      const data = { type: "signBuffer", username: name, message, method: type };
      return { success: true, error: null, result, data, message: "Message signed successfully.", request_id: 1, publicKey: "STM" };
    });
    await page.evaluateOnNewDocument(() => {
      window.hive_keychain = {
        requestSignBuffer(name, message, type, callback) {
          window.askKeychain(name, message, type).then(callback);
        },
      };
    });
  },
  async keychain_asked() {
    return keychain.asked;
  },
  async keychain_refuses() {
    keychain.refuses = true;
  },
  async select({ selector, value }) {
    await page.select(selector, value);
  },
  async press({ key }) {
    await page.keyboard.press(key);
  },
  async screenshot({ path }) {
    // A page that has only just been opened may not be laid out yet.
    await page.waitForFunction(() => document.readyState === "complete" && document.body.scrollHeight > 0);
    for (let tries = 3; ; tries -= 1) {
      try {
        return void (await page.screenshot({ path, fullPage: true }));
      } catch (why) {
        if (tries === 0) throw why;
        await new Promise((done) => setTimeout(done, 200));
      }
    }
  },
  /** Waits until the player in a frame has played, and tells of it. */
  async frame({ selector, seconds }) {
    const frame = await (await page.waitForSelector(selector)).contentFrame();
    const played = (wanted) => document.getElementById("video")?.currentTime >= wanted;
    await frame.waitForFunction(played, { timeout: 40_000 }, seconds);
    return frame.evaluate(() => ({
      badge: document.getElementById("badge").textContent,
      frames: document.getElementById("video").getVideoPlaybackQuality().totalVideoFrames,
    }));
  },
  /** Whether a frame shows the page that it names. */
  async framed({ selector }) {
    const frame = await (await page.waitForSelector(selector)).contentFrame();
    return frame.evaluate(() => document.getElementById("video") !== null).catch(() => false);
  },
  /** What people who do not see the page are told of: role and name of each. */
  async controls() {
    const found = [];
    const walk = (node) => {
      found.push([node.role, node.name ?? ""]);
      node.children?.forEach(walk);
    };
    walk(await page.accessibility.snapshot());
    return found;
  },
  async seen() {
    return seen;
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { act, ...args } = JSON.parse(line);
  const answer = await acts[act](args).then(
    (ok) => ({ ok: ok ?? null }),
    (error) => ({ error: `${error.message}\nseen: ${JSON.stringify(seen)}` }),
  );
  console.log(JSON.stringify(answer));
}
await browser.close();
