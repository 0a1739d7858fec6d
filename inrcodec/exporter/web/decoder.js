// The worker that renders frames: `manifest.json` says which models run on which inputs. It does the same as
// inrcodec/exporter/player.py, which checks an export.

const RUNTIME = new URL("runtime/", import.meta.url);
const KEPT_STATES = 16;
const MOST_THREADS = 4;
const KINDS = { float32: Float32Array, int32: Int32Array, int16: Int16Array, int8: Int8Array };

/** Whether there is a GPU; one that software emulates counts only if `wanted` is `webgpu`. */
async function hasGpu(wanted) {
  if (wanted === "wasm" || !navigator.gpu) return false;
  const adapter = await navigator.gpu.requestAdapter().catch(() => null);
  const isImitated = adapter?.info?.isFallbackAdapter ?? adapter?.isFallbackAdapter;
  return adapter !== null && (wanted === "webgpu" || !isImitated);
}

async function sha256(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...digest].map((one) => one.toString(16).padStart(2, "0")).join("");
}

/**
 * The bytes of a WebAssembly file of the runtime, 14 or 27 MB. The browser keeps them under their digest, so that
 * they are loaded once for all exports of a server. Undefined if it keeps nothing, as without a secure connection.
 */
async function keptBinary(name, digests) {
  const digest = digests?.[name];
  if (digest === undefined || self.caches === undefined) return undefined;
  try {
    const cache = await caches.open("inrc-runtime");
    const address = (one) => new URL(`/${one}.wasm`, self.location.origin).href;
    const key = address(digest);
    const kept = await cache.match(key);
    if (kept === undefined) {
      const loaded = await fetch(new URL(name, RUNTIME));
      if (!loaded.ok) return undefined;
      const bytes = await loaded.arrayBuffer();
      // A file of another version, or half of one, would stay under this digest for ever.
      if ((await sha256(bytes)) !== digest) return undefined;
      // Those of earlier versions would stay for ever.
      const known = Object.values(digests).map(address);
      for (const old of await cache.keys()) if (!known.includes(old.url)) await cache.delete(old);
      await cache.put(key, new Response(bytes));
      return bytes;
    }
    return await kept.arrayBuffer();
  } catch {
    return undefined; // No room, or storage is forbidden: the runtime loads its file itself.
  }
}

/** onnxruntime-web: its WebGPU build if there is a GPU and `wanted` is not `wasm`, else its WebAssembly build. */
async function loadRuntime(wanted, digests) {
  const threads = self.crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency) : 1;
  const isGpu = await hasGpu(wanted);
  const ort = await import(new URL(isGpu ? "ort.webgpu.min.mjs" : "ort.wasm.min.mjs", RUNTIME));
  ort.env.wasm.wasmPaths = RUNTIME.href;
  const binary = `ort-wasm-simd-threaded${isGpu ? ".asyncify" : ""}.wasm`;
  ort.env.wasm.wasmBinary = await keptBinary(binary, digests);
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = "error";
  const options = { executionProviders: isGpu ? ["webgpu", "wasm"] : ["wasm"], logSeverityLevel: 3 };
  const inThreads = threads > 1 ? `WebAssembly, ${threads} threads` : "WebAssembly";
  return { ort, isGpu, options, name: isGpu ? "WebGPU" : inThreads };
}

/** The bytes of a file of the export; throws an `Error` that names it. */
async function load(base, file) {
  if (!/^\w[\w.-]*$/.test(file)) throw new Error(`manifest.json names ${file}, which is not a file of the export`);
  const response = await fetch(new URL(file, base));
  if (!response.ok) throw new Error(`${file}: ${response.status} ${response.statusText}`);
  return response.arrayBuffer();
}

async function unzipped(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

/** The frames of one segment, counted from its first. */
class SegmentPlayer {
  constructor(base, segment, runtime) {
    Object.assign(this, { base, segment, runtime });
    this.files = new Map(); // name -> promise of its bytes
    this.sessions = new Map(); // name -> promise of a session
    this.states = new Map(); // frame -> tensors, the most recently used last
  }

  /** Start loading everything the segment needs. */
  prepare() {
    const { stored, shown, makers } = this.segment;
    for (const { file } of Object.values(stored)) this.file(file).catch(() => {});
    for (const graph of [shown, ...Object.values(makers)]) this.session(graph.file).catch(() => {});
  }

  file(name) {
    return remembered(this.files, name, () => load(this.base, name));
  }

  session(name) {
    const { ort, options } = this.runtime;
    return remembered(this.sessions, name, async () => {
      const model = new Uint8Array(await load(this.base, name));
      return inTurn(() => ort.InferenceSession.create(model, options));
    });
  }

  /** A frame as RGB, {data, dims: [1, height, width, 3]}. */
  async frame(place) {
    const states = this.segment.states.length ? await this.statesOf(place) : [];
    const [shown] = await this.run(this.segment.shown, place, states);
    return shown;
  }

  /** The states of a frame: cached, or made along with all that they depend on. */
  async statesOf(place) {
    const waiting = [place];
    while (waiting.length) {
      const current = waiting.at(-1);
      const references = this.segment.references[current];
      const missing = references.filter((one) => !this.states.has(one));
      if (this.states.has(current) || !missing.length) {
        waiting.pop();
        await this.keep(current, references);
      } else {
        waiting.push(...missing);
      }
    }
    return this.states.get(place);
  }

  async keep(place, references) {
    for (const used of references) this.touch(used);
    if (!this.states.has(place)) {
      const given = references.flatMap((one) => this.states.get(one));
      this.states.set(place, await this.run(this.segment.makers[references.length], place, given));
    }
    this.touch(place);
    while (this.states.size > KEPT_STATES) this.states.delete(this.states.keys().next().value);
  }

  touch(place) {
    const states = this.states.get(place);
    if (states === undefined) return;
    this.states.delete(place);
    this.states.set(place, states);
  }

  async run(graph, place, states) {
    const session = await this.session(graph.file);
    const stored = await Promise.all(graph.stored.map((name) => this.value(name, place)));
    const given = [...stored, ...states];
    const feeds = Object.fromEntries(graph.inputs.map((name, at) => [name, given[at]]));
    const made = await session.run(feeds);
    return graph.outputs.map((name) => made[name]);
  }

  /** A stored value of a frame, as a model takes it. */
  async value(name, place) {
    const { file, type, shape, scale, offsets } = this.segment.stored[name];
    const bytes = await this.file(file);
    const size = shape.reduce((product, extent) => product * extent, 1) * KINDS[type].BYTES_PER_ELEMENT;
    const part = offsets
      ? await unzipped(bytes.slice(offsets[place], offsets[place + 1]))
      : bytes.slice(place * size, (place + 1) * size);
    const values = Float32Array.from(new KINDS[type](part));
    if (scale !== 1) values.forEach((value, at) => (values[at] = value * scale));
    return new this.runtime.ort.Tensor("float32", values, shape);
  }
}

let lastCreated = Promise.resolve();

/** Runs `create` after all earlier calls are done, because WebGPU makes one session at a time. */
function inTurn(create) {
  const created = lastCreated.then(create);
  lastCreated = created.catch(() => {});
  return created;
}

/** The promise that `make` gave for this name before, or gives now; a failure is not remembered. */
function remembered(map, name, make) {
  if (!map.has(name)) {
    const promise = make();
    map.set(name, promise);
    promise.catch(() => map.delete(name));
  }
  return map.get(name);
}

/** All frames of an export. */
class Decoder {
  async open(url, manifest, wanted) {
    this.base = url;
    this.manifest = manifest;
    await this.use(wanted);
    this.player(0).prepare();
  }

  async use(wanted) {
    for (const number of [...(this.players?.keys() ?? [])]) this.forget(number);
    this.runtime = await loadRuntime(wanted, this.manifest.runtime);
    this.players = new Map();
  }

  player(number) {
    const known = this.players.get(number);
    const player = known ?? new SegmentPlayer(this.base, this.manifest.segments[number], this.runtime);
    // The most recently used players are last, and stay.
    this.players.delete(number);
    this.players.set(number, player);
    while (this.players.size > 2) this.forget(this.players.keys().next().value);
    return player;
  }

  forget(number) {
    for (const session of this.players.get(number).sessions.values()) {
      session.then((one) => one.release()).catch(() => {});
    }
    this.players.delete(number);
  }

  /** A frame as RGBA, uint8. If the GPU fails, WebAssembly replaces it. */
  async frame(frame) {
    try {
      return await this.shown(frame);
    } catch (error) {
      if (!this.runtime.isGpu) throw error;
      console.warn(`WebGPU failed, continuing with WebAssembly: ${error.message}`);
      await this.use("wasm");
      return this.shown(frame);
    }
  }

  async shown(frame) {
    const { segments } = this.manifest;
    const number = segments.findLastIndex((one) => one.first_frame <= frame);
    const segment = segments[number];
    const place = frame - segment.first_frame;
    const player = this.player(number);
    const { data } = await player.frame(place);
    // The first frame of a segment also waits for its models, so that its time says nothing about the others.
    this.isWarm = player.hasShown;
    player.hasShown = true;
    // The next segment loads while this one's last frames are rendered.
    if (2 * place > segment.frame_count && number + 1 < segments.length) this.player(number + 1).prepare();
    const pixels = new Uint32Array(data.length / 3);
    for (let at = 0, from = 0; at < pixels.length; at += 1, from += 3) {
      pixels[at] = 0xff000000 | (data[from + 2] << 16) | (data[from + 1] << 8) | data[from];
    }
    return pixels.buffer;
  }
}

const decoder = new Decoder();
let last = Promise.resolve();

async function answer({ id, open, manifest, backend, frame }) {
  try {
    if (open !== undefined) {
      await decoder.open(open, manifest, backend);
      return [{ id, backend: decoder.runtime.name }];
    }
    const started = performance.now();
    const pixels = await decoder.frame(frame);
    const milliseconds = performance.now() - started;
    return [{ id, pixels, milliseconds, isWarm: decoder.isWarm, backend: decoder.runtime.name }, [pixels]];
  } catch (error) {
    return [{ id, error: error instanceof Error ? error.message : String(error) }];
  }
}

self.onmessage = ({ data }) => {
  // One at a time, because frames are made from one another.
  last = last.then(() => answer(data)).then((reply) => self.postMessage(...reply));
};
