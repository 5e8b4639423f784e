"use strict";
// What kind of file a reader brought, from its first bytes, what to say of it, and its pixels.
globalThis.AesthlibFiles = (() => {
  const LARGEST_BYTES = 100e6, LARGEST_PIXELS = 64e6, SMALLEST_EDGE = 16, LONGEST = 8, STRIP = 4e6;
  const text = (bytes, from, length) => String.fromCharCode(...bytes.subarray(from, from + length));
  const big = (bytes, at) => (bytes[at] << 8) | bytes[at + 1];
  const little = (bytes, at) => bytes[at] | (bytes[at + 1] << 8);

  const long = (bytes, at) => ((big(bytes, at) << 16) | big(bytes, at + 2)) >>> 0;
  const latin = new TextDecoder("latin1");

  // The EXIF number of how a picture is to be turned, 0 for none.
  function ofExif(bytes) {
    if (text(bytes, 0, 6) === "Exif\0\0") bytes = bytes.subarray(6);
    const order = text(bytes, 0, 2);
    if (bytes.length < 8 || !["II", "MM"].includes(order)) return 0;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length), near = order === "II";
    const at = view.getUint32(4, near);
    if (at + 2 > bytes.length) return 0;
    const count = view.getUint16(at, near);
    for (let i = 0, entry = at + 2; i < count && entry + 12 <= bytes.length; i++, entry += 12) {
      if (view.getUint16(entry, near) !== 0x0112) continue;
      const kind = view.getUint16(entry + 2, near);
      const turn = kind === 3 ? view.getUint16(entry + 8, near) : kind === 4 ? view.getUint32(entry + 8, near) : 0;
      return turn >= 1 && turn <= 8 ? turn : 0;
    }
    return 0;
  }

  const ofXmp = (bytes) =>
    Number(/tiff:Orientation(?:\s*=\s*["']|\s*>)\s*([1-8])\s*["'<]/.exec(latin.decode(bytes))?.[1] ?? 0);

  // What is found while walking a file; cuts are the parts that tell the browser how to turn it.
  const blank = () => ({ exif: 0, xmp: 0, cuts: [] });

  function jpeg(bytes) {
    const found = blank();
    for (let at = 2; at + 9 < bytes.length;) {
      if (bytes[at] !== 0xff) break;
      const marker = bytes[at + 1];
      if (marker === 0xff) { at += 1; continue; }
      if (marker === 0xda) break;
      const end = at + 2 + big(bytes, at + 2);
      if (marker === 0xe1 && text(bytes, at + 4, 6) === "Exif\0\0") {
        found.exif ||= ofExif(bytes.subarray(at + 4, end));
        found.cuts.push([at, end]);
      } else if (marker === 0xe1 && text(bytes, at + 4, 28) === "http://ns.adobe.com/xap/1.0/") {
        found.xmp = ofXmp(bytes.subarray(at + 4, end));
        found.cuts.push([at, end]);
      }
      if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
        Object.assign(found, { height: big(bytes, at + 5), width: big(bytes, at + 7), cmyk: bytes[at + 9] === 4 });
      }
      at = end;
    }
    return found;
  }

  function png(bytes) {
    const found = { ...blank(), width: long(bytes, 16), height: long(bytes, 20) };
    for (let at = 8; at + 8 < bytes.length;) {
      const kind = text(bytes, at + 4, 4), end = at + 12 + long(bytes, at);
      const body = bytes.subarray(at + 8, end - 4);
      if (kind === "acTL") found.animated = true;
      else if (kind === "eXIf") {
        found.exif = ofExif(body);
        found.cuts.push([at, end]);
      } else if (kind === "iTXt" && text(body, 0, 17) === "XML:com.adobe.xmp") found.xmp = ofXmp(body);
      at = end;
    }
    return found;
  }

  function webp(bytes) {
    const found = { ...blank(), animated: text(bytes, 12, 4) === "VP8X" && (bytes[20] & 2) > 0 };
    for (let at = 12; at + 8 <= bytes.length;) {
      const kind = text(bytes, at, 4), size = (little(bytes, at + 4) | (little(bytes, at + 6) << 16)) >>> 0;
      const body = bytes.subarray(at + 8, at + 8 + size);
      if (kind === "EXIF") found.exif = ofExif(body);
      if (kind === "XMP ") found.xmp = ofXmp(body);
      if (kind === "EXIF" || kind === "XMP ") found.unnamed = [...(found.unnamed ?? []), at];
      at += 8 + size + (size & 1);
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
      return { kind: "WebP", ...webp(bytes) };
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

  // A picture on white, {width, height, data} of RGB bytes, read strip by strip: a large canvas is
  // more than some browsers give.
  function pixels(image) {
    const { width, height } = image, data = new Uint8Array(width * height * 3);
    const rows = Math.min(height, Math.max(1, Math.floor(STRIP / width)));
    const canvas = Object.assign(document.createElement("canvas"), { width, height: rows });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.fillStyle = "white";
    for (let top = 0, i = 0; top < height; top += rows) {
      const count = Math.min(rows, height - top);
      context.fillRect(0, 0, width, count);
      context.drawImage(image, 0, top, width, count, 0, 0, width, count);
      const rgba = context.getImageData(0, 0, width, count).data;
      for (let p = 0; p < rgba.length; i += 3, p += 4) {
        data[i] = rgba[p]; data[i + 1] = rgba[p + 1]; data[i + 2] = rgba[p + 2];
      }
    }
    return { width, height, data };
  }

  // Upright, by EXIF's number.
  function turned(photo, turn) {
    if (turn < 2) return photo;
    const { width: w, height: h, data } = photo;
    const [width, height] = turn > 4 ? [h, w] : [w, h], out = new Uint8Array(data.length);
    for (let y = 0, o = 0; y < height; y++) {
      for (let x = 0; x < width; x++, o += 3) {
        const down = [3, 4, 7, 8].includes(turn) ? height - 1 - y : y;
        const right = [2, 3, 6, 7].includes(turn) ? width - 1 - x : x;
        const i = 3 * (turn > 4 ? right * w + down : down * w + right);
        out[o] = data[i]; out[o + 1] = data[i + 1]; out[o + 2] = data[i + 2];
      }
    }
    return { width, height, data: out };
  }

  // Does the canvas give back what was put on it? Some browsers add noise against fingerprinting.
  function trusted() {
    const canvas = Object.assign(document.createElement("canvas"), { width: 64, height: 64 });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const put = new ImageData(64, 64);
    crypto.getRandomValues(put.data); // what nobody can foresee and leave alone
    for (let i = 3; i < put.data.length; i += 4) put.data[i] = 255;
    context.putImageData(put, 0, 0);
    return context.getImageData(0, 0, 64, 64).data.every((value, i) => value === put.data[i]);
  }

  // The file without what turns it: the browsers differ in that, so it is done here.
  function unturned(bytes, found) {
    if (found.unnamed) {
      bytes = bytes.slice();
      for (const at of found.unnamed) bytes.set([0x58, 0x58, 0x58, 0x58], at);
    }
    const parts = [];
    let from = 0;
    for (const [start, end] of found.cuts ?? []) {
      parts.push(bytes.subarray(from, start));
      from = end;
    }
    return new Blob([...parts, bytes.subarray(from)]);
  }

  function zeroTail(bytes) {
    let at = bytes.length;
    while (at && !bytes[at - 1]) at -= 1;
    return bytes.length - at;
  }

  // {stored, note} of a file: its pixels, upright. Throws an Error with a sentence for the reader.
  async function read(file) {
    const name = file.name || "The pasted picture";
    const fail = (why) => { throw new Error(`${name} ${why}`); };
    if (!file.size) fail("is empty.");
    if (file.size > LARGEST_BYTES) fail(`is too large: ${Math.round(file.size / 1e6)} MB, at most ${LARGEST_BYTES / 1e6}.`);
    const bytes = new Uint8Array(await file.arrayBuffer()), found = inspect(bytes);
    if (!found.kind) fail("is not an image that a browser shows. Take a JPEG, PNG, WebP or AVIF.");
    const why = found.width && refuse(found.width, found.height);
    if (why) fail(why);
    const damaged = `looks like a ${found.kind} file, but is damaged or incomplete.`;
    const unchecked = ["WebP", "AVIF", "GIF"].includes(found.kind); // decoders take zeros for data
    if (unchecked && zeroTail(bytes) > Math.max(64, bytes.length / 16)) fail(damaged);
    let bitmap;
    try {
      bitmap = await createImageBitmap(unturned(bytes, found), { imageOrientation: "from-image" });
    } catch {
      if (found.kind === "HEIC" || found.kind === "TIFF") {
        fail(`is a ${found.kind} file, which this browser does not show. Export it as JPEG or PNG.`);
      }
      fail(damaged);
    }
    try {
      const late = refuse(bitmap.width, bitmap.height);
      if (late) fail(late);
      const notes = [];
      if (found.animated) notes.push("It is animated: the first frame is taken.");
      if (found.cmyk) notes.push("It is stored in CMYK, for print: the browser has converted the colours, which may be off. An RGB copy shows them as they are.");
      return { stored: turned(pixels(bitmap), found.exif || found.xmp || 1), note: notes.join(" ") };
    } finally {
      bitmap.close();
    }
  }

  return { inspect, pixels, read, trusted };
})();
