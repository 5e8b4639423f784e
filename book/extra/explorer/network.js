"use strict";
// The released network, run in a worker by onnxruntime-web. Loads nothing until it is asked to, and
// everything from classic scripts beside the page, so that it works from a file as well.
globalThis.AesthlibNetwork = (() => {
  // Runs in the worker: unpacks, starts the runtime, answers {id, patches, size}.
  function work() {
    let session = null;
    const address = (text) => URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    const unpack = async (packed) => {
      const bytes = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
      const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
      return new Uint8Array(await new Response(plain).arrayBuffer());
    };
    async function start({ script, loader, wasm, onnx }) {
      importScripts(address(script));
      Object.assign(ort.env.wasm, {
        numThreads: 1, wasmBinary: await unpack(wasm), wasmPaths: { mjs: address(loader) },
      });
      session = await ort.InferenceSession.create(await unpack(onnx), {
        executionProviders: ["wasm"],
      });
    }
    async function predict({ patches, size }) {
      const area = size * size, images = new Uint8Array(patches.length * 3 * area);
      patches.forEach((pixels, n) => {
        for (let i = 0; i < area; i++) {
          for (let c = 0; c < 3; c++) images[(3 * n + c) * area + i] = pixels[3 * i + c];
        }
      });
      const shape = [patches.length, 3, size, size];
      const out = await session.run({ images: new ort.Tensor("uint8", images, shape) });
      return patches.map((_, n) => Object.fromEntries(Object.entries(out).map(([name, tensor]) => {
        const width = tensor.dims[1];
        return [name, tensor.data.slice(n * width, (n + 1) * width)];
      })));
    }
    self.onmessage = async ({ data }) => {
      try {
        self.postMessage({ id: data.id, got: await (data.start ? start(data.start) : predict(data)) });
      } catch (error) {
        self.postMessage({ id: data.id, failed: String(error?.message ?? error) });
      }
    };
  }

  function script(address) {
    return new Promise((resolve, reject) => {
      const tag = document.createElement("script");
      tag.onload = () => { tag.remove(); resolve(); };
      tag.onerror = () => reject(new Error(`${address.split("/").pop()} could not be loaded`));
      tag.src = address;
      document.head.append(tag);
    });
  }

  // A function of patches (Uint8Array, RGB) and their side to [{logits, embedding, pooled}, …].
  async function load(folder) {
    await Promise.all(["model.js", "runtime.js"].map((name) => script(folder + name)));
    const code = new Blob([`(${work})()`], { type: "text/javascript" });
    const worker = new Worker(URL.createObjectURL(code));
    const waiting = new Map();
    let count = 0;
    worker.onmessage = ({ data }) => {
      const { resolve, reject } = waiting.get(data.id);
      waiting.delete(data.id);
      if ("failed" in data) reject(new Error(data.failed));
      else resolve(data.got);
    };
    worker.onerror = (event) => {
      for (const { reject } of waiting.values()) reject(new Error(event.message || "worker failed"));
      waiting.clear();
    };
    const ask = (message) => new Promise((resolve, reject) => {
      waiting.set(++count, { resolve, reject });
      worker.postMessage({ id: count, ...message });
    });
    await ask({ start: { ...globalThis.AesthlibRuntime, ...globalThis.AesthlibModel } });
    delete globalThis.AesthlibRuntime;
    delete globalThis.AesthlibModel;
    return (patches, size) => ask({ patches, size });
  }

  function probabilities(logits) {
    const most = Math.max(...logits), terms = Array.from(logits, (value) => Math.exp(value - most));
    const sum = terms.reduce((a, b) => a + b, 0);
    return terms.map((term) => term / sum);
  }

  // D of equation 2: the squared distance of the normalized features, 0 … 4
  const distance = (a, b) => a.reduce((sum, value, i) => sum + (value - b[i]) ** 2, 0);

  // A linear probe over the means of the layers that it names
  function score(pooled, probe, channels) {
    let at = 0, sum = probe.intercept, weight = 0;
    const starts = {};
    for (const [layer, width] of Object.entries(channels)) {
      starts[layer] = at;
      at += width;
    }
    for (const layer of probe.layer) {
      for (let i = 0; i < channels[layer]; i++) {
        sum += probe.weights[weight++] * pooled[starts[layer] + i];
      }
    }
    return sum;
  }

  return { load, probabilities, distance, score };
})();
