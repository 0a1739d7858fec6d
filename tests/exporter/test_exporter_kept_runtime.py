"""The page of an export keeps only files of the runtime that have the digest of the manifest."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest

DECODER = Path(__file__).parents[2] / "inrcodec" / "exporter" / "web" / "decoder.js"
NODE = shutil.which("node")
WORLD = """
const { webcrypto } = require("node:crypto");
const stored = new Map();
const cache = {
  match: async (key) => stored.get(key),
  put: async (key, response) => stored.set(key, response),
  keys: async () => [...stored.keys()].map((url) => ({ url })),
  delete: async (one) => stored.delete(one.url),
};
const caches = { open: async () => cache };
const self = { caches, location: { origin: "http://a.test" } };
const RUNTIME = new URL("http://a.test/runtime/");
const [DIGEST, ...SERVED] = JSON.parse(process.argv[1]);
Object.defineProperty(globalThis, "crypto", { value: webcrypto, configurable: true });
let loads = 0;
globalThis.fetch = async () => new Response(SERVED[Math.min(loads++, SERVED.length - 1)]);
"""
ASK = """
(async () => {
  const said = [];
  for (const one of [1, 2, 3]) {
    const bytes = await keptBinary("a.wasm", { "a.wasm": DIGEST });
    said.push(bytes === undefined ? null : Buffer.from(bytes).toString());
  }
  console.log(JSON.stringify([said, loads, [...stored.keys()]]));
})();
"""


@pytest.mark.skipif(NODE is None, reason="needs node")
def test_a_file_of_another_digest_is_not_kept() -> None:
    text = DECODER.read_text()
    functions = text[text.index("async function sha256") : text.index("/** onnxruntime-web:")]
    digest = hashlib.sha256(b"right").hexdigest()
    said = subprocess.run(
        [str(NODE), "-e", WORLD + functions + ASK, json.dumps([digest, "half", "right", "half"])],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    assert json.loads(said) == [[None, "right", "right"], 2, [f"http://a.test/{digest}.wasm"]]
