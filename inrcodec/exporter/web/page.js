// The page: shows the worker's frames on time and handles the controls.

const AHEAD = 6; // frames rendered before they are due
const element = (id) => document.getElementById(id);
const screen = element("screen");
const context = screen.getContext("2d", { alpha: false });
const seek = element("seek");

/** Sends requests to the worker and matches its replies to them. */
class Decoder {
  constructor() {
    this.worker = new Worker(new URL("decoder.js", import.meta.url), { type: "module" });
    this.waiting = new Map();
    this.asked = 0;
    this.worker.onmessage = ({ data }) => {
      const { resolve, reject } = this.waiting.get(data.id);
      this.waiting.delete(data.id);
      if (data.error === undefined) resolve(data);
      else reject(new Error(data.error));
    };
    this.worker.onerror = (event) => {
      event.preventDefault();
      for (const { reject } of this.waiting.values()) reject(new Error(event.message || "the decoder did not start"));
      this.waiting.clear();
    };
  }

  ask(question) {
    const id = this.asked++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, ...question });
    });
  }
}

/** Decides which frame is shown, and when. */
class Player {
  constructor(decoder, manifest) {
    Object.assign(this, { decoder, manifest });
    this.count = manifest.frame_count;
    const [over, under] = manifest.frame_rate.split("/").map(Number);
    this.rate = over / (under || 1);
    this.lastLength = manifest.last_seconds ?? 1 / this.rate;
    this.wanted = 0; // the frame to show, or the one shown
    this.shown = -1;
    this.isPlaying = false;
    this.isLooping = true;
    this.made = new Map(); // frame -> ImageData
    this.stamps = []; // times at which the last frames were shown, milliseconds
    this.costs = []; // decoding times of the last frames, milliseconds
    this.isMaking = false;
  }

  /** Time at which a frame is shown, seconds. */
  timeOf(frame) {
    return this.manifest.times ? this.manifest.times[frame] : frame / this.rate;
  }

  /** How long a frame is shown, seconds. */
  lengthOf(frame) {
    return frame + 1 < this.count ? this.timeOf(frame + 1) - this.timeOf(frame) : this.lastLength;
  }

  after(frame) {
    if (frame + 1 < this.count) return frame + 1;
    return this.isLooping ? 0 : null;
  }

  /** Frames that should be ready: the wanted one and some that follow it. */
  coming() {
    const frames = [this.wanted];
    for (let frame = this.after(this.wanted); frame !== null && frames.length < Math.min(AHEAD, this.count);) {
      frames.push(frame);
      frame = this.after(frame);
    }
    return frames;
  }

  /** Render the coming frames one by one until all are ready. */
  async make() {
    if (this.isMaking) return;
    this.isMaking = true;
    try {
      for (;;) {
        const coming = this.coming();
        for (const frame of this.made.keys()) if (!coming.includes(frame)) this.made.delete(frame);
        const frame = coming.find((one) => !this.made.has(one));
        if (frame === undefined) break;
        const { pixels, milliseconds, isWarm, backend } = await this.decoder.ask({ frame });
        if (isWarm) this.costs = [...this.costs.slice(-29), milliseconds];
        this.backend = backend;
        const { width, height } = this.manifest;
        this.made.set(frame, new ImageData(new Uint8ClampedArray(pixels), width, height));
        if (!this.show()) tell(this);
      }
    } catch (error) {
      this.pause();
      say(error.message, true);
    } finally {
      this.isMaking = false;
    }
  }

  /** Draw the wanted frame if it is ready and not on the screen yet; returns whether it was drawn. */
  show() {
    const image = this.made.get(this.wanted);
    if (image === undefined || this.shown === this.wanted) return false;
    context.putImageData(image, 0, 0);
    this.shown = this.wanted;
    screen.dataset.frame = this.shown;
    const now = performance.now();
    this.due = now + 1000 * this.lengthOf(this.shown);
    this.stamps = [...this.stamps.filter((stamp) => now - stamp < 2000), now];
    say("");
    tell(this);
    return true;
  }

  goto(frame) {
    this.wanted = Math.max(0, Math.min(this.count - 1, frame));
    this.stamps = [];
    this.show();
    tell(this);
    this.make();
  }

  step(frames) {
    this.pause();
    this.goto(this.wanted + frames);
  }

  play() {
    this.isPlaying = true;
    this.stamps = [];
    if (this.after(this.wanted) === null) this.goto(0);
    this.due = performance.now();
    tell(this);
    this.make();
    // Only one request at a time, even if playback is paused and resumed before the next repaint.
    cancelAnimationFrame(this.request);
    this.request = requestAnimationFrame(() => this.tick());
  }

  pause() {
    this.isPlaying = false;
    tell(this);
  }

  /** Show the next frame when it is due and ready. No frame is skipped, so a slow machine plays slowly. */
  tick() {
    if (!this.isPlaying) return;
    const now = performance.now();
    const next = this.after(this.shown);
    if (this.shown === this.wanted && now >= this.due) {
      if (next === null) {
        this.pause();
        return;
      }
      if (this.made.has(next)) {
        // Counted from when it was due, so that delays of the screen do not add up; no hurry after a stall.
        const due = Math.max(this.due, now - 50);
        this.wanted = next;
        this.show();
        this.due = due + 1000 * this.lengthOf(next);
        this.make();
      }
    }
    this.request = requestAnimationFrame(() => this.tick());
  }

  /** How many of the frames that follow the shown one are ready. */
  get ahead() {
    const missing = this.coming().findIndex((frame) => !this.made.has(frame));
    return Math.max(0, (missing < 0 ? this.coming().length : missing) - 1);
  }

  /** Recent display rate in fps; null if too few frames were shown. */
  get shownRate() {
    const { stamps } = this;
    if (!this.isPlaying || stamps.length < 4) return null;
    return (1000 * (stamps.length - 1)) / (stamps.at(-1) - stamps[0]);
  }
}

function clock(seconds) {
  const hundredths = Math.round(100 * seconds);
  const minutes = Math.floor(hundredths / 6000);
  return `${minutes}:${((hundredths % 6000) / 100).toFixed(2).padStart(5, "0")}`;
}

/** Show a line over the picture; an empty text hides it. */
function say(text, isBad = false) {
  const status = element("status");
  status.classList.toggle("bad", isBad);
  if (status.textContent !== text) status.textContent = text;
}

/** Update the controls. */
function tell(player) {
  const { wanted, count, isPlaying } = player;
  const end = player.timeOf(count - 1) + player.lengthOf(count - 1);
  seek.value = wanted;
  seek.setAttribute("aria-valuetext", `frame ${wanted + 1} of ${count}, ${clock(player.timeOf(wanted))}`);
  element("time").textContent = clock(player.timeOf(wanted));
  element("of").textContent = `/ ${clock(end)} · frame ${wanted + 1} of ${count}`;
  const rate = player.shownRate;
  element("rate").textContent = rate === null ? "–" : rate.toFixed(1);
  element("play").setAttribute("aria-label", isPlaying ? "Pause" : "Play");
  element("play").classList.toggle("playing", isPlaying);
  element("loop").setAttribute("aria-pressed", player.isLooping);
  const { ahead } = player;
  const seconds = player.timeOf(Math.min(count - 1, wanted + ahead)) - player.timeOf(wanted);
  fact("Buffered ahead", `${ahead} ${ahead === 1 ? "frame" : "frames"}, ${Math.max(0, seconds).toFixed(2)} s`);
  seek.style.setProperty("--played", `${(100 * wanted) / Math.max(1, count - 1)}%`);
  seek.style.setProperty("--buffered", `${(100 * Math.min(count - 1, wanted + ahead)) / Math.max(1, count - 1)}%`);
  if (player.costs.length) {
    const mean = player.costs.reduce((sum, cost) => sum + cost, 0) / player.costs.length;
    fact("Decoding", `${mean.toFixed(1)} ms per frame`);
  }
  if (player.backend) fact("Runs on", player.backend);
}

const facts = new Map();

/** Set a line of the list below the picture. */
function fact(name, text) {
  if (!facts.has(name)) {
    const row = document.createElement("div");
    const value = document.createElement("dd");
    row.append(Object.assign(document.createElement("dt"), { textContent: name }), value);
    element("facts").append(row);
    facts.set(name, value);
  }
  if (facts.get(name).textContent !== text) facts.get(name).textContent = text;
}

/** A number of bytes for people: `22.8 kB`. */
function size(bytes) {
  const [unit, factor] = bytes < 1e6 ? ["kB", 1e3] : ["MB", 1e6];
  return `${(bytes / factor).toPrecision(3)} ${unit}`;
}

/** Show the first frame as a picture until the decoder shows it; a page without one stays black. */
async function showPoster(manifest, player) {
  if (!/^\w[\w.-]*$/.test(manifest.poster ?? "")) return;
  const response = await fetch(new URL(manifest.poster, location.href)).catch(() => null);
  if (!response?.ok) return;
  const picture = await createImageBitmap(await response.blob()).catch(() => null);
  if (picture !== null && player.shown < 0) context.drawImage(picture, 0, 0, screen.width, screen.height);
}

function describe(manifest, player) {
  document.title = `${manifest.source} – inrc`;
  element("title").textContent = manifest.source;
  const families = [...new Set(manifest.segments.map((segment) => segment.family))].join(", ");
  element("subtitle").textContent = `A neural representation of a video (${families}), decoded in the browser`;
  const ratio = (manifest.width * manifest.sample_aspect_ratio) / manifest.height;
  screen.width = manifest.width;
  screen.height = manifest.height;
  screen.style.setProperty("--ratio", ratio);
  screen.setAttribute("aria-label", `Video ${manifest.source}`);
  seek.max = player.count - 1;
  if (manifest.file_bytes) fact("File", `${size(manifest.file_bytes)} (.inrv)`);
  fact("Frames", `${player.count} of ${manifest.width} × ${manifest.height}`);
  fact("Frame rate", `${Number(player.rate.toFixed(3))} fps`);
  fact("Model", families);
}

const ACTIONS = {
  " ": (player) => (player.isPlaying ? player.pause() : player.play()),
  ArrowLeft: (player, isLong) => player.step(isLong ? -Math.round(player.rate) : -1),
  ArrowRight: (player, isLong) => player.step(isLong ? Math.round(player.rate) : 1),
  Home: (player) => player.goto(0),
  End: (player) => player.goto(player.count - 1),
  l: (player) => {
    player.isLooping = !player.isLooping;
    tell(player);
    player.make();
  },
};
const BUTTONS = { first: "Home", back: "ArrowLeft", play: " ", forward: "ArrowRight", loop: "l" };

function listen(player) {
  for (const [id, key] of Object.entries(BUTTONS)) {
    element(id).disabled = false;
    element(id).addEventListener("click", () => ACTIONS[key](player, false));
  }
  seek.disabled = false;
  seek.addEventListener("input", () => player.goto(Number(seek.value)));
  document.addEventListener("keydown", (event) => {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const isOfButton = key === " " && event.target instanceof HTMLButtonElement;
    if (event.ctrlKey || event.altKey || event.metaKey || isOfButton || !(key in ACTIONS)) return;
    event.preventDefault();
    if (event.repeat && (key === " " || key === "l")) return;
    ACTIONS[key](player, event.shiftKey);
  });
}

/** The manifest of the export; throws an `Error` that says what is wrong with it. */
async function described(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`manifest.json: ${response.status} ${response.statusText}`);
  const manifest = await response.json();
  if (manifest.format !== "inrc-export" || manifest.version !== 1) {
    throw new Error("manifest.json and this page are of different versions");
  }
  return manifest;
}

async function main() {
  element("notice").remove();
  element("player").hidden = false;
  say("Loading the decoder …");
  const backend = new URLSearchParams(location.search).get("backend") ?? "auto";
  try {
    const open = new URL("manifest.json", location.href).href;
    const manifest = await described(open);
    const decoder = new Decoder();
    const player = new Player(decoder, manifest);
    describe(manifest, player);
    showPoster(manifest, player);
    await decoder.ask({ open, manifest, backend });
    listen(player);
    player.goto(0);
  } catch (error) {
    say(error.message, true);
  }
}

main();
