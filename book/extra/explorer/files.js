"use strict";
// What kind of file a reader brought, from its first bytes, and what to say of it.
globalThis.AesthlibFiles = (() => {
  const LARGEST_BYTES = 100e6, LARGEST_PIXELS = 64e6, SMALLEST_EDGE = 16, LONGEST = 8;
  const text = (bytes, from, length) => String.fromCharCode(...bytes.subarray(from, from + length));
  const big = (bytes, at) => (bytes[at] << 8) | bytes[at + 1];
  const little = (bytes, at) => bytes[at] | (bytes[at + 1] << 8);

  function jpeg(bytes) {
    for (let at = 2; at + 9 < bytes.length;) {
      if (bytes[at] !== 0xff) return {};
      const marker = bytes[at + 1];
      if (marker === 0xff) { at += 1; continue; }
      const frame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
      if (frame) {
        return { height: big(bytes, at + 5), width: big(bytes, at + 7), cmyk: bytes[at + 9] === 4 };
      }
      at += 2 + big(bytes, at + 2);
    }
    return {};
  }

  function png(bytes) {
    const found = { width: (big(bytes, 16) << 16) | big(bytes, 18), height: (big(bytes, 20) << 16) | big(bytes, 22) };
    for (let at = 8; at + 8 < bytes.length;) {
      const kind = text(bytes, at + 4, 4);
      if (kind === "acTL") return { ...found, animated: true };
      if (kind === "IDAT") break;
      at += 12 + ((big(bytes, at) << 16) | big(bytes, at + 2));
    }
    return found;
  }

  function gif(bytes) {
    const found = { width: little(bytes, 6), height: little(bytes, 8) };
    const table = (flags) => (flags & 0x80 ? 3 << ((flags & 7) + 1) : 0);
    let at = 13 + table(bytes[10]), frames = 0;
    const skip = () => {
      while (at < bytes.length && bytes[at]) at += bytes[at] + 1;
      at += 1;
    };
    while (at < bytes.length && frames < 2) {
      if (bytes[at] === 0x21) { at += 2; skip(); }
      else if (bytes[at] === 0x2c) { frames += 1; at += 10 + table(bytes[at + 9]) + 1; skip(); }
      else break;
    }
    return { ...found, animated: frames > 1 };
  }

  function inspect(bytes) {
    if (bytes[0] === 0xff && bytes[1] === 0xd8) return { kind: "JPEG", ...jpeg(bytes) };
    if (text(bytes, 1, 3) === "PNG") return { kind: "PNG", ...png(bytes) };
    if (text(bytes, 0, 4) === "GIF8") return { kind: "GIF", ...gif(bytes) };
    if (text(bytes, 0, 4) === "RIFF" && text(bytes, 8, 4) === "WEBP") {
      return { kind: "WebP", animated: text(bytes, 12, 4) === "VP8X" && (bytes[20] & 2) > 0 };
    }
    if (text(bytes, 0, 2) === "BM") return { kind: "BMP" };
    if (text(bytes, 4, 4) === "ftyp") {
      const brand = text(bytes, 8, 4);
      if (/^avi[fs]/.test(brand)) return { kind: "AVIF", animated: brand === "avis" };
      if (/^(hei|hev|mif1|msf1)/.test(brand)) return { kind: "HEIC" };
    }
    if (/^(II\*\0|MM\0\*)/.test(text(bytes, 0, 4))) return { kind: "TIFF" };
    return { kind: null };
  }

  const size = (width, height) => `${width} × ${height} px`;

  function refuse(width, height) {
    if (Math.min(width, height) < SMALLEST_EDGE) {
      return `is too small: ${size(width, height)}, at least ${SMALLEST_EDGE} px a side are needed.`;
    }
    if (Math.max(width, height) > LONGEST * Math.min(width, height)) {
      return `is too long: ${size(width, height)}, at most ${LONGEST} times as long as wide.`;
    }
    if (width * height > LARGEST_PIXELS) {
      return `is too large: ${size(width, height)}, at most ${LARGEST_PIXELS / 1e6} million pixels. `
        + "Save a smaller copy; the page shrinks to 640 px anyway.";
    }
    return null;
  }

  // {bitmap, note} of a file, upright. Throws an Error with a sentence for the reader.
  async function read(file) {
    const name = file.name || "The pasted picture";
    const fail = (why) => { throw new Error(`${name} ${why}`); };
    if (!file.size) fail("is empty.");
    if (file.size > LARGEST_BYTES) fail(`is too large: ${Math.round(file.size / 1e6)} MB, at most ${LARGEST_BYTES / 1e6}.`);
    const found = inspect(new Uint8Array(await file.arrayBuffer()));
    if (!found.kind) fail("is not an image that a browser shows. Take a JPEG, PNG, WebP or AVIF.");
    const why = found.width && refuse(found.width, found.height);
    if (why) fail(why);
    let bitmap;
    try {
      bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
    } catch {
      if (found.kind === "HEIC" || found.kind === "TIFF") {
        fail(`is a ${found.kind} file, which this browser does not show. Export it as JPEG or PNG.`);
      }
      fail(`looks like a ${found.kind} file, but is damaged or incomplete.`);
    }
    const late = refuse(bitmap.width, bitmap.height);
    if (late) {
      bitmap.close();
      fail(late);
    }
    const notes = [];
    if (found.animated) notes.push("It is animated: the first frame is taken.");
    if (found.cmyk) notes.push("It is stored in CMYK, for print: the browser has converted the colours, which may be off. An RGB copy shows them as they are.");
    return { bitmap, note: notes.join(" ") };
  }

  return { inspect, read };
})();
