"use strict";
// The explore page: photographs, sliders, a chain, the grid of classes, and the network's answers.
(() => {
  const root = document.getElementById("explore");
  const data = globalThis.AesthlibData, O = globalThis.AesthlibOperations;
  if (!root) return;
  if (!data || !O) {
    root.textContent = "The explorer's files are missing: build the book with make book.";
    return;
  }
  if (!AesthlibFiles.trusted()) {
    root.textContent = "This browser alters what a page reads from a canvas, as a protection against "
      + "fingerprinting: noise would be shown and judged instead of the photograph. Allow this page to "
      + "read canvas data, or open it in another browser.";
    return;
  }
  const folder = root.dataset.built;
  const LONGEST = 640;

  // --- building pieces ------------------------------------------------------------------------

  function h(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value === true) element.setAttribute(name, "");
      else if (value !== false && value != null) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child != null));
    return element;
  }

  function s(tag, attributes, text) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text != null) element.textContent = text;
    return element;
  }

  const images = new WeakMap(); // of canvases
  function paint(canvas, photo) {
    let image = images.get(canvas);
    if (image?.width !== photo.width || image.height !== photo.height) {
      image = new ImageData(photo.width, photo.height);
      images.set(canvas, image);
    }
    const words = new Uint32Array(image.data.buffer), { data: bytes } = photo;
    for (let i = 0, p = 0; i < words.length; i++, p += 3) {
      words[i] = 0xff000000 | (bytes[p + 2] << 16) | (bytes[p + 1] << 8) | bytes[p];
    }
    if (canvas.width !== photo.width || canvas.height !== photo.height) {
      canvas.width = photo.width;
      canvas.height = photo.height;
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
  }

  // As shown, at most 640 px; `stored` keeps the size that it was brought in, for the network.
  function shrunk(stored) {
    const scale = Math.min(1, LONGEST / Math.max(stored.width, stored.height));
    const [width, height] = [stored.width, stored.height].map((side) => Math.max(1, O.round(side * scale)));
    return { ...O.resize(stored, width, height), stored };
  }

  const classes = [{ index: 0, operation: null, level: 0, label: "None", detail: "as it is" }];
  for (const operation of data.operations) {
    operation.levels.paper.forEach((value, i) => classes.push({
      index: classes.length, operation, level: i + 1, label: operation.label,
      detail: operation.says[operation.stops.indexOf(value)], value,
    }));
  }
  const className = (item) => (item.operation ? `${item.label}, ${item.detail}` : item.label);

  // --- what is shown --------------------------------------------------------------------------

  const state = {
    photo: null, title: "", alt: "", partner: null, partnerName: "", mode: "side", moved: "gaussian_blur",
    order: data.operations.map((operation) => operation.name),
    at: Object.fromEntries(data.operations.map(({ name, off }) => [name, off])),
    serial: 0,
  };
  const byName = Object.fromEntries(data.operations.map((operation) => [operation.name, operation]));
  const active = () => state.order.filter((name) => state.at[name] !== byName[name].off);
  const valueOf = (name) => byName[name].stops[state.at[name]];
  const said = (name) => byName[name].says[state.at[name]];

  // A chain on a photograph; what was computed for the same beginning is kept.
  function chained() {
    let kept = [], base = null;
    return (photo, names, values) => {
      const start = `${state.partnerName} ${state.serial}`;
      if (base !== start) { kept = []; base = start; }
      let result = photo;
      names.forEach((name, i) => {
        const key = `${name} ${values[i]}`;
        if (kept[i]?.key !== key) {
          kept.length = i;
          kept.push({ key, result: O.apply(result, name, values[i], { partner: state.partner }) });
        }
        result = kept[i].result;
      });
      return result;
    };
  }
  const chainOfPhoto = chained(), chainOfPatch = chained();

  // --- the page's parts -----------------------------------------------------------------------

  const status = h("p", { class: "ex-status", role: "status", "aria-live": "polite" });
  const spoken = h("p", { class: "ex-hidden", "aria-live": "polite" });
  const say = (text, bad = false) => {
    status.textContent = text;
    status.classList.toggle("ex-bad", bad);
  };
  let speaking = 0;
  const speak = (text) => {
    clearTimeout(speaking);
    speaking = setTimeout(() => { spoken.textContent = text; }, 700);
  };

  const canvases = {
    original: h("canvas", { role: "img", width: 600, height: 400 }),
    degraded: h("canvas", { role: "img", width: 600, height: 400 }),
  };
  const captions = { original: h("figcaption", {}, "Original"), degraded: h("figcaption", {}, "Degraded") };
  const wipe = h("input", {
    type: "range", min: 0, max: 100, value: 50, class: "ex-wipe",
    "aria-label": "Wipe: how much of the original is shown, from the left", oninput: () => view(),
  });
  const pair = h("div", { class: "ex-pair" },
    ...["original", "degraded"].map((which) => h("figure", { class: `ex-${which}` }, h("div", { class: "ex-frame" }, canvases[which]), captions[which])));
  const modes = h("fieldset", { class: "ex-modes" }, h("legend", { class: "ex-hidden" }, "View"),
    ...[["side", "Side by side"], ["wipe", "Wipe"]].map(([mode, label]) => h("label", {},
      h("input", { type: "radio", name: "ex-mode", value: mode, checked: mode === state.mode,
        onchange: () => { state.mode = mode; view(); } }), label)));
  const reset = h("button", { type: "button", class: "ex-reset", onclick: () => {
    for (const { name, off } of data.operations) state.at[name] = off;
    rows.forEach((row) => row.show());
    update();
  } }, "Reset all");
  const live = h("p", { class: "ex-live", hidden: true });
  const stage = h("div", { class: "ex-stage" }, pair, wipe, h("div", { class: "ex-bar" }, modes, reset), live);

  function view() {
    const turned = canvases.original.width !== canvases.degraded.width
      || canvases.original.height !== canvases.degraded.height;
    const wiped = state.mode === "wipe" && !turned;
    stage.classList.toggle("ex-wiped", wiped);
    stage.style.setProperty("--wipe", `${wipe.value}%`);
    stage.style.setProperty("--aspect", canvases.original.width / canvases.original.height);
    captions.degraded.textContent = turned && state.mode === "wipe" ? "Degraded (turned: no wipe)" : "Degraded";
  }

  // --- photographs ----------------------------------------------------------------------------

  const picker = h("input", { type: "file", accept: "image/*", id: "ex-file", class: "ex-hidden",
    onchange: () => { if (picker.files[0]) take(picker.files[0]); picker.value = ""; } });
  const thumbnails = data.photographs.map((photograph) => h("button", {
    type: "button", class: "ex-thumb", "aria-pressed": "false",
    onclick: () => takeBundled(photograph),
  }, h("img", { src: photograph.src, alt: photograph.alt, width: 96, height: 64 })));
  const chooser = h("div", { class: "ex-chooser" },
    h("div", { class: "ex-own" }, picker,
      h("label", { for: "ex-file", class: "ex-button" }, "Choose a photograph"),
      h("span", {}, "or drop or paste one here. It stays on this device.")),
    h("div", { class: "ex-thumbs", role: "group", "aria-label": "Photographs to try" }, ...thumbnails));

  let loading = 0;
  async function take(file) {
    const mine = ++loading;
    say("Reading the photograph …");
    try {
      const { stored, note } = await AesthlibFiles.read(file);
      if (mine !== loading) return; // another one was chosen meanwhile
      const name = file.name || "Pasted picture", size = `${stored.width} × ${stored.height} px`;
      show(shrunk(stored), name, "Your photograph");
      say(`${name}, ${size}. ${note}`.trim(), Boolean(note));
    } catch (error) {
      if (mine === loading) say(error.message, true);
    }
  }

  async function decodeBundled(photograph) {
    const image = new Image();
    image.src = photograph.src;
    await image.decode();
    return shrunk(AesthlibFiles.pixels(image));
  }

  async function takeBundled(photograph) {
    const mine = ++loading;
    const photo = await decodeBundled(photograph);
    if (mine !== loading) return;
    await show(photo, photograph.name, photograph.alt);
    say(`${photograph.alt} (${photograph.from}).`);
  }

  async function show(photo, title, alt) {
    Object.assign(state, { photo, title, alt, serial: state.serial + 1 });
    thumbnails.forEach((button, i) =>
      button.setAttribute("aria-pressed", String(data.photographs[i].name === title)));
    canvases.original.setAttribute("aria-label", `Original: ${alt}`);
    paint(canvases.original, photo);
    if (state.partnerName === title || !state.partner) await choosePartner(title);
    else begin();
  }

  function begin() {
    update();
    setTimeout(() => O.fitOnce(state.partner, state.photo)); // so that mixup need not wait for it
  }

  async function choosePartner(except, wanted = null) {
    const chosen = wanted ?? data.photographs.find(({ name }) => name === "china" && name !== except)
      ?? data.photographs.find(({ name }) => name !== except);
    state.partner = await decodeBundled(chosen);
    state.partnerName = chosen.name;
    partnerSelect.value = chosen.name;
    state.serial += 1;
    begin();
  }

  for (const kind of ["dragenter", "dragover"]) {
    root.addEventListener(kind, (event) => {
      event.preventDefault();
      root.classList.add("ex-over");
    });
  }
  root.addEventListener("dragleave", (event) => {
    if (!root.contains(event.relatedTarget)) root.classList.remove("ex-over");
  });
  root.addEventListener("drop", (event) => {
    event.preventDefault();
    root.classList.remove("ex-over");
    const [file] = event.dataTransfer.files;
    if (file) take(file);
    else say("Drop a file: a picture dragged from a page brings no file with it.", true);
  });
  document.addEventListener("paste", (event) => {
    const [file] = event.clipboardData?.files ?? [];
    if (file) take(file);
    else if (event.target === document.body) say("The clipboard holds no picture.", true);
  });

  // --- sliders --------------------------------------------------------------------------------

  const partnerSelect = h("select", { "aria-label": "Photograph that mixup blends in",
    onchange: () => choosePartner(null, data.photographs.find(({ name }) => name === partnerSelect.value)) },
  ...data.photographs.map(({ name }) => h("option", { value: name }, name)));

  function slider(operation) {
    const { name, label, effect, stops, off, says, levels } = operation;
    const last = stops.length - 1;
    const number = h("span", { class: "ex-number", "aria-hidden": "true" });
    const output = h("output", { class: "ex-value", "aria-live": "off" }); // the slider says it
    const range = h("input", { type: "range", min: 0, max: last, step: 1, id: `ex-${name}`,
      "aria-describedby": `ex-${name}-effect`, oninput: () => set(Number(range.value)) });
    const marks = levels.paper.map((value, i) => {
      const index = stops.indexOf(value);
      return h("button", { type: "button", class: "ex-mark", style: `--at:${index / last}`,
        title: `the paper's level ${i + 1}`, "aria-label": `${label}, the paper's level ${i + 1}: ${says[index]}`,
        onclick: () => { set(index); range.value = index; } }, String(value));
    });
    const move = (by) => () => {
      const from = state.order.indexOf(name), to = from + by;
      if (to < 0 || to >= state.order.length) return;
      state.order.splice(from, 1);
      state.order.splice(to, 0, name);
      const items = state.order.map((each) => rowOf[each].element);
      list.replaceChildren(...items);
      (by < 0 ? up : down).focus();
      speak(`${label} is now number ${to + 1} of ${state.order.length}`);
      update();
    };
    const up = h("button", { type: "button", class: "ex-move", "aria-label": `Apply ${label} earlier`, title: "earlier", onclick: move(-1) }, "↑");
    const down = h("button", { type: "button", class: "ex-move", "aria-label": `Apply ${label} later`, title: "later", onclick: move(1) }, "↓");
    const element = h("li", { class: "ex-row" },
      h("div", { class: "ex-head" }, number, h("label", { for: range.id }, label), output, up, down),
      h("p", { class: "ex-effect", id: `ex-${name}-effect` }, effect, name === "mixup" ? ": " : null,
        name === "mixup" ? partnerSelect : null),
      h("div", { class: "ex-track" }, range, h("div", { class: "ex-marks" }, ...marks)));
    function set(index) {
      state.at[name] = index;
      state.moved = name;
      show();
      update();
    }
    function show() {
      const index = state.at[name], position = active().indexOf(name);
      range.value = index;
      range.setAttribute("aria-valuetext", says[index]);
      output.textContent = says[index];
      number.textContent = position < 0 ? "" : position + 1;
      element.classList.toggle("ex-on", index !== off);
      marks.forEach((mark, i) => mark.classList.toggle("ex-at", stops[index] === levels.paper[i]));
    }
    return { name, element, show, set };
  }
  const rows = data.operations.map(slider);
  const rowOf = Object.fromEntries(rows.map((row) => [row.name, row]));
  const list = h("ol", { class: "ex-rows", "aria-label": "Operations, applied from the first to the last" }, ...rows.map(({ element }) => element));

  const chainText = h("p", { class: "ex-chain" });
  const timing = h("span", { class: "ex-timing" });
  const codeText = h("code", {});
  const copyButton = h("button", { type: "button", class: "ex-copy", onclick: async () => {
    try {
      await navigator.clipboard.writeText(codeText.textContent);
      copyButton.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(codeText);
      copyButton.textContent = "Selected";
    }
    setTimeout(() => { copyButton.textContent = "Copy"; }, 2000);
  } }, "Copy");
  const code = h("details", { class: "ex-code" }, h("summary", {}, "The same in Python"),
    h("div", { class: "ex-lines" }, h("pre", {}, codeText), copyButton));

  function python() {
    const names = active();
    const lines = names.map((name) => `x = ${byName[name].code.replace("{}", String(valueOf(name)))}`);
    const partner = names.includes("mixup") ? [`partner = explore.read("partner.jpg", ${LONGEST})`] : [];
    return ["import torch", "from aesthlib import explore, ops", "",
      `x = explore.read("photograph.jpg", ${LONGEST})`, ...partner, ...lines].join("\n");
  }

  let waiting = false;
  function update() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      render();
    });
  }

  function render() {
    if (!state.photo || !state.partner) return;
    const names = active(), begin = performance.now();
    const result = chainOfPhoto(state.photo, names, names.map(valueOf));
    paint(canvases.degraded, result);
    const ms = performance.now() - begin;
    root.dataset.ms = ms.toFixed(1);
    root.dataset.serial = Number(root.dataset.serial ?? 0) + 1;
    timing.textContent = root.dataset.warm ? ` ${ms < 1 ? "under 1" : Math.round(ms)} ms for ${result.width} × ${result.height} px.` : "";
    const steps = names.map((name) => `${byName[name].label}, ${said(name)}`);
    chainText.replaceChildren(steps.length ? `${steps.join(" → ")}.` : "Nothing is changed: move a slider or press a level.", timing);
    canvases.degraded.setAttribute("aria-label", `Degraded: ${state.alt}. ${steps.join(", then ") || "Nothing is changed"}`);
    rows.forEach((row) => row.show());
    codeText.textContent = python();
    speak(steps.join(", then ") || "Nothing is changed");
    view();
    network.changed();
    if (grid.open) grid.changed();
  }

  // --- the network ----------------------------------------------------------------------------

  const network = (() => {
    const { missing, bytes, shorterEdge, size, score, channels } = data.model;
    const megabytes = (bytes / 1e6).toFixed(1);
    let predict = null, busy = false, wanted = false, original = null, patch = null, serial = -1;
    let curve = { key: "", points: new Map() };

    const note = h("p", { class: "ex-note", role: "status" });
    const button = h("button", { type: "button", class: "ex-button ex-load", onclick: load }, `Load the model (${megabytes} MB)`);
    const intro = h("div", {});
    const panel = h("div", { class: "ex-panel", hidden: true });
    const section = h("section", { class: "ex-network", "aria-labelledby": "ex-network-title" },
      h("h2", { id: "ex-network-title" }, "What the network sees"), intro, panel);
    if (missing.length) {
      const why = missing.includes("model") ? "it was built without a released model" : `it was built without ${missing.includes("onnx") ? "the package onnx" : "the runtime that npm provides"}`;
      intro.append(h("p", { class: "ex-note" }, `This copy of the book cannot run the network: ${why}. Everything else on the page works.`));
    } else {
      intro.append(h("p", {}, `The released network was trained to tell the 22 classes apart. It runs in this browser: ${megabytes} MB are loaded once, from this book, and nothing is sent.`), button, note);
    }

    const patches = [h("canvas", { role: "img" }), h("canvas", { role: "img" })];
    const verdict = h("p", { class: "ex-verdict" });
    const bars = h("ol", { class: "ex-bars" });
    const distanceText = h("p", {});
    const plot = s("svg", { viewBox: "0 0 480 220", class: "ex-curve", role: "img" });
    const sweep = h("button", { type: "button", class: "ex-small", onclick: whole }, "Draw the whole curve");
    const scoreText = h("div", { class: "ex-score" });
    panel.append(
      h("div", { class: "ex-patches" },
        ...["Original patch", "Degraded patch"].map((label, i) => h("figure", {}, patches[i], h("figcaption", {}, label))),
        h("p", { class: "ex-effect" }, `The network looks at the middle ${size} × ${size} px of the photograph, shrunk to a shorter edge of ${shorterEdge} px, as in its training. The chain is applied to that patch, so the same level bites harder here than on the large picture.`)),
      h("h3", {}, "Which of 22 classes?"), verdict, bars,
      h("h3", {}, "How far from the original?"), distanceText, plot, sweep,
      h("h3", {}, "How beautiful?"), scoreText);

    async function load() {
      button.disabled = true;
      note.textContent = "Loading …";
      try {
        predict = await AesthlibNetwork.load(folder);
        intro.replaceChildren(h("p", { class: "ex-note", role: "status" }, "The network is ready: it answers every change. " +
          "It calls many intact photographs degraded, and its score says little: the ",
          h("a", { href: "model_card.html" }, "model card"), " has the figures."));
        panel.hidden = false;
        root.dataset.network = "ready";
        changed();
        if (grid.open) grid.changed();
      } catch (error) {
        button.disabled = false;
        note.textContent = `The network could not be started: ${error.message}`;
        note.classList.add("ex-bad");
        root.dataset.network = "failed";
      }
    }

    const place = () => JSON.stringify([state.serial, state.moved, state.order.map((name) =>
      (name === state.moved ? name : [name, state.at[name]]))]);

    // What changed while the network was at work is answered once, as it then stands.
    async function changed() {
      if (!predict) return;
      wanted = true;
      if (busy) return;
      busy = true;
      while (wanted) {
        wanted = false;
        try {
          await answer();
        } catch (error) {
          verdict.textContent = `The network failed: ${error.message}`;
        }
      }
      busy = false;
    }

    async function settle() {
      if (serial === state.serial) return;
      const now = state.serial;
      patch = O.patch(state.photo.stored, shorterEdge, size);
      [original] = await predict([patch.data], size);
      serial = now;
      paint(patches[0], patch);
      patches[0].setAttribute("aria-label", "The middle of the original photograph");
    }

    async function answer() {
      await settle();
      const names = active();
      const values = names.map(valueOf);
      const [key, moved, index] = [place(), state.moved, state.at[state.moved]];
      const degraded = chainOfPatch(patch, names, values);
      const begin = performance.now();
      const [got] = await predict([degraded.data], size);
      root.dataset.predictionMs = (performance.now() - begin).toFixed(1);
      paint(patches[1], degraded);
      patches[1].setAttribute("aria-label", "The middle of the degraded photograph");
      const apart = AesthlibNetwork.distance(original.embedding, got.embedding);
      if (curve.key !== key) curve = { key, points: new Map() };
      curve.points.set(index, apart);
      const probabilities = AesthlibNetwork.probabilities(got.logits);
      showClasses(names, probabilities);
      showDistance(moved, index, apart);
      const guess = showScore(got), best = probabilities.indexOf(Math.max(...probabilities));
      live.hidden = false;
      live.replaceChildren("Network: ", h("strong", {}, className(classes[best])), `, ${percent(probabilities[best])} · distance ${apart.toFixed(2)}${guess}`);
      root.dataset.answer = JSON.stringify({ probabilities, distance: apart, names, values,
        score: score ? AesthlibNetwork.score(got.pooled, score, channels) : null });
    }

    // The class that the chain really is: known for one operation at a level, or none at all.
    function truth(names) {
      if (!names.length) return classes[0];
      if (names.length > 1) return null;
      return classes.find((item) => item.operation?.name === names[0] && item.value === valueOf(names[0])) ?? null;
    }

    const percent = (share) => `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;

    function showClasses(names, probabilities) {
      const ranked = classes.map((item) => [item, probabilities[item.index]]).sort((a, b) => b[1] - a[1]);
      const [[best, share]] = ranked, real = truth(names);
      const judged = real ? (real === best ? "That is right." : `In truth: ${className(real)}.`)
        : names.length > 1 ? "A chain has no class of its own: none of the 22 is right."
          : "This value lies between the paper's levels: none of the 22 is exactly right.";
      verdict.replaceChildren(h("strong", {}, className(best)), ` with ${percent(share)} confidence. `, h("span", {}, judged));
      bars.replaceChildren(...ranked.slice(0, 5).map(([item, value]) => h("li", { class: item === real ? "ex-true" : "" },
        h("span", { class: "ex-name" }, className(item)),
        h("span", { class: "ex-meter", "aria-hidden": "true", style: `--share:${value}` }),
        h("span", { class: "ex-percent" }, percent(value)))));
      speak(`${names.map((name) => `${byName[name].label}, ${said(name)}`).join(", then ") || "Nothing is changed"}. The network says: ${className(best)}, ${percent(share)}. ${judged}`);
    }

    function showDistance(moved, index, apart) {
      const { label, stops, off, levels } = byName[moved];
      distanceText.textContent = `Squared distance of the normalized features: ${apart.toFixed(2)} (0: the same; 2: nothing in common). The paper's triplet loss asks that a stronger level lies further away.`;
      const [left, right, top, bottom] = [42, 470, 14, 176], last = stops.length - 1;
      const points = [...curve.points].sort((a, b) => a[0] - b[0]);
      const high = Math.max(0.5, ...points.map(([, value]) => value)) * 1.1;
      const x = (at) => left + ((right - left) * at) / last, y = (value) => bottom - ((bottom - top) * value) / high;
      const parts = [];
      for (const tick of [0, high / 2.2, high / 1.1]) {
        parts.push(s("line", { x1: left, x2: right, y1: y(tick), y2: y(tick), class: "ex-grid" }),
          s("text", { x: left - 6, y: y(tick) + 4, "text-anchor": "end" }, tick.toFixed(2)));
      }
      const named = [[off, "off"], ...levels.paper.map((value) => [stops.indexOf(value), String(value)])];
      for (const [at, text] of named) {
        parts.push(s("line", { x1: x(at), x2: x(at), y1: top, y2: bottom, class: "ex-level" }),
          s("text", { x: x(at), y: bottom + 16, "text-anchor": at === 0 || at === last ? "end" : "middle" }, text));
      }
      parts.push(s("text", { x: (left + right) / 2, y: bottom + 36, "text-anchor": "middle" }, `${label}, along the slider`));
      if (points.length > 1) parts.push(s("polyline", { points: points.map(([at, value]) => `${x(at)},${y(value)}`).join(" "), class: "ex-line" }));
      for (const [at, value] of points) {
        parts.push(s("circle", { cx: x(at), cy: y(value), r: at === index ? 6 : 2.5, class: at === index ? "ex-here" : "ex-point" }));
      }
      plot.replaceChildren(...parts);
      plot.setAttribute("aria-label", `Distance from the original against ${label}: ${points.map(([at, value]) => `${byName[moved].says[at]} ${value.toFixed(2)}`).join(", ")}`);
      plot.dataset.points = points.length;
      sweep.textContent = `Draw the whole curve of ${label}`;
    }

    // Every stop (about thirty of them), one after another, while nothing else changes.
    async function whole() {
      if (busy) return;
      busy = true;
      const key = place(), moved = state.moved, { stops } = byName[moved];
      const stride = Math.ceil(stops.length / 30);
      const values = new Map(active().map((name) => [name, valueOf(name)]));
      const order = [...state.order];
      try {
        for (let at = 0; at < stops.length && place() === key; at += stride) {
          if (curve.points.has(at)) continue;
          if (at === byName[moved].off) values.delete(moved);
          else values.set(moved, stops[at]);
          const names = order.filter((name) => values.has(name));
          let result = patch;
          for (const name of names) result = O.apply(result, name, values.get(name), { partner: state.partner });
          const [got] = await predict([result.data], size);
          if (place() !== key) break;
          const apart = AesthlibNetwork.distance(original.embedding, got.embedding);
          if (curve.key !== key) curve = { key, points: new Map() };
          curve.points.set(at, apart);
          const here = state.at[moved];
          if (curve.points.has(here)) showDistance(moved, here, curve.points.get(here));
        }
      } finally {
        busy = false;
        changed();
      }
    }

    function showScore(got) {
      if (!score) {
        scoreText.replaceChildren(h("p", {}, "The released network comes without a probe for ratings: no score is shown."));
        return "";
      }
      const [before, after] = [original, got].map(({ pooled }) => AesthlibNetwork.score(pooled, score, channels));
      const number = (value) => value.toFixed(2), scale = score.low != null ? ` on a scale of ${score.low} to ${score.high}` : "";
      scoreText.replaceChildren(
        h("p", {}, h("strong", {}, `${number(after)} ± ${number(score.rmse)}`), `${scale}; the original: ${number(before)} ± ${number(score.rmse)}.`),
        h("p", {}, `A linear probe on ${score.layer.join(", ")} guesses the mean rating that people would give${score.benchmark ? ` (${score.benchmark})` : ""}. ± is its typical error on photographs it had not seen; its ranks agree with people's at ${number(score.srcc)} (1 is perfect, 0 chance). Differences smaller than the error say nothing. It was fitted on photographs as they are, not on degraded ones, and it is no judgement of your photograph: subject, moment and meaning are beyond it.`));
      return ` · score ${number(after)} ± ${number(score.rmse)}`;
    }

    return {
      section, changed,
      get ready() { return predict !== null; },
      size: () => (predict ? [shorterEdge, size] : [256, 227]),
      classify: async (patches) => (await predict(patches.map(({ data: bytes }) => bytes), size))
        .map(({ logits }) => AesthlibNetwork.probabilities(logits)),
    };
  })();

  // --- all classes at once --------------------------------------------------------------------

  const grid = (() => {
    const tiles = classes.map((item) => {
      const canvas = h("canvas", { role: "img", "aria-label": className(item), width: 128, height: 128 });
      const answer = h("span", { class: "ex-answer" });
      const button = h("button", { type: "button", class: "ex-tile", title: "Set the sliders to this class", onclick: () => {
        for (const { name, off } of data.operations) state.at[name] = off;
        if (item.operation) {
          state.at[item.operation.name] = item.operation.stops.indexOf(valueIn(item));
          state.moved = item.operation.name;
        }
        update();
      } }, canvas, h("span", { class: "ex-name" }, item.label), h("span", { class: "ex-detail" }, item.detail), answer);
      return { item, canvas, button, answer, detail: button.querySelector(".ex-detail") };
    });
    const preset = h("select", { onchange: () => changed() },
      h("option", { value: "paper" }, "the paper's levels"), h("option", { value: "calibrated" }, "calibrated: visible blur"));
    const valueIn = ({ operation, level }) => operation.levels[preset.value][level - 1];
    const summary = h("p", { class: "ex-note", role: "status" });
    const details = h("details", { class: "ex-grid22", ontoggle: () => { if (details.open) changed(); } },
      h("summary", {}, "All 22 classes at once"),
      h("p", {}, h("label", {}, "Levels: ", preset)), summary,
      h("div", { class: "ex-tiles" }, ...tiles.map(({ button }) => button)));
    let run = 0, shown = "";

    async function changed() {
      const now = JSON.stringify([state.serial, preset.value, network.ready]);
      if (shown === now || !state.partner) return;
      shown = now;
      const mine = ++run, [edge, size] = network.size();
      const patch = O.patch(state.photo.stored, edge, size);
      summary.textContent = `The middle of the photograph, ${size} × ${size} px, under each class alone.`;
      const made = [];
      for (const { item, canvas, answer, detail } of tiles) {
        if (mine !== run) return;
        answer.textContent = "";
        if (item.operation) {
          const value = valueIn(item);
          detail.textContent = item.operation.says[item.operation.stops.indexOf(value)];
          made.push(O.apply(patch, item.operation.name, value, { partner: state.partner }));
        } else made.push(patch);
        paint(canvas, made.at(-1));
        if (made.length % 6 === 0) await new Promise((resolve) => setTimeout(resolve));
      }
      details.dataset.painted = mine;
      if (!network.ready) return;
      let right = 0;
      for (const { item, answer } of tiles) {
        const [shares] = await network.classify([made[item.index]]);
        if (mine !== run) return;
        const best = classes[shares.indexOf(Math.max(...shares))];
        right += best === item;
        answer.textContent = best === item ? "✓ recognised" : `✗ ${className(best)}`;
        answer.className = `ex-answer ${best === item ? "ex-right" : "ex-wrong"}`;
      }
      const trained = preset.value === "paper" ? "" : ", though it was trained on the paper's levels";
      summary.textContent += ` The network recognises ${right} of 22${trained}.`;
    }
    return { details, changed, get open() { return details.open; } };
  })();

  root.replaceChildren(chooser, status, h("div", {}, stage, chainText, list), code, grid.details, network.section, spoken);
  root.classList.add("ex-ready");
  if (innerWidth < 576) {
    state.mode = "wipe";
    modes.querySelector("[value=wipe]").checked = true;
  }
  const header = document.querySelector(".bd-header-article, .header-article");
  root.style.setProperty("--ex-top", `${header?.offsetHeight ?? 0}px`);

  // The browser compiles what it has run a few times: so the first move of a slider is a fast one.
  async function warm() {
    for (let turn = 0; turn < 2; turn++) {
      for (const { name, levels, stops } of data.operations) {
        for (const value of new Set([...levels.paper, ...levels.calibrated, stops.at(-1)])) {
          await new Promise((resolve) => setTimeout(resolve));
          O.apply(state.photo, name, value, { partner: state.partner });
        }
      }
    }
    root.dataset.warm = "true";
  }
  state.at.gaussian_blur = byName.gaussian_blur.stops.indexOf(2.5);
  takeBundled(data.photographs[0]).then(warm);
})();
