"use strict";
// The ten degradations on the page's own pixels, with the arithmetic of aesthlib/ops/functional.py.
//
// A photograph is {width, height, data}: RGB, three bytes a pixel, row by row. No function changes
// its input. tests/test_explore.py holds every operation against the Python one: all are equal to
// the last bit but Gaussian blur (at most one level apart) and the two that draw at random, which
// agree in distribution.
globalThis.AesthlibOperations = (() => {
  const EVEN = 6755399441055744; // 1.5 · 2^52: adding and taking it away rounds half to even
  const round = (value) => value + EVEN - EVEN;
  const clip = (value) => (value < 0 ? 0 : value > 255 ? 255 : value);
  // the same of whole numbers, to be stored in a byte; without a branch, for what jumps about
  const clipWhole = (value) => (value & ~(value >> 31)) | ((255 - value) >> 31);
  const wholes = (size, unit) => Math.ceil(size / unit) * unit;
  const like = (photo, data) => ({ width: photo.width, height: photo.height, data });
  const copy = (photo) => like(photo, photo.data.slice());

  // --- tables of 256 values -------------------------------------------------------------------

  function lookUp(photo, valueOf) {
    const table = Uint8Array.from({ length: 256 }, (_, value) => clip(round(valueOf(value))));
    const { data } = photo;
    const out = new Uint8Array(data.length);
    for (let i = 0; i < data.length; i++) out[i] = table[data[i]];
    return like(photo, out);
  }

  const expose = (photo, factor) => lookUp(photo, (value) => value * factor);

  function quantize(photo, levels) {
    const steps = levels - 1;
    return lookUp(photo, (x) => (Math.floor((2 * x * steps + 255) / 510) * 255) / steps);
  }

  // --- grids from the upper left; cut blocks are smaller blocks of their own ------------------

  function blockMeans(photo, block) {
    const { width, height, data } = photo;
    const columns = Math.ceil(width / block), rows = Math.ceil(height / block);
    const means = new Float32Array(rows * columns * 3);
    for (let y = 0; y < height; y++) {
      const row = Math.floor(y / block) * columns;
      let i = y * width * 3;
      for (let column = 0; column < columns; column++) {
        const end = Math.min((column + 1) * block, width);
        let red = 0, green = 0, blue = 0;
        for (let x = column * block; x < end; x++, i += 3) {
          red += data[i]; green += data[i + 1]; blue += data[i + 2];
        }
        const o = (row + column) * 3;
        means[o] += red; means[o + 1] += green; means[o + 2] += blue;
      }
    }
    for (let row = 0, o = 0; row < rows; row++) {
      const tall = Math.min(block, height - row * block);
      for (let column = 0; column < columns; column++) {
        const count = tall * Math.min(block, width - column * block);
        for (let channel = 0; channel < 3; channel++, o++) means[o] /= count;
      }
    }
    return { columns, rows, means };
  }

  function pixelate(photo, block) {
    if (block === 1) return copy(photo);
    const { width, height } = photo;
    const { columns, means } = blockMeans(photo, block);
    const out = new Uint8Array(width * height * 3);
    for (let y = 0, i = 0; y < height; y++) {
      const row = Math.floor(y / block) * columns;
      if (y % block) { // as the row above
        out.copyWithin(i, i - width * 3, i);
        i += width * 3;
        continue;
      }
      for (let x = 0; x < width; x++) {
        const o = (row + Math.floor(x / block)) * 3;
        for (let channel = 0; channel < 3; channel++) out[i++] = round(means[o + channel]);
      }
    }
    return like(photo, out);
  }

  // Bilinear places of enlarging by a factor: the lower neighbour, the upper one, its weight.
  function places(length, cells, factor) {
    const low = new Int32Array(length), high = new Int32Array(length);
    const weight = new Float32Array(length);
    for (let i = 0; i < length; i++) {
      const at = Math.max(0, Math.fround((i + 0.5) * Math.fround(1 / factor)) - 0.5);
      low[i] = Math.min(Math.floor(at), cells - 1);
      high[i] = Math.min(low[i] + 1, cells - 1);
      weight[i] = at - low[i];
    }
    return { low, high, weight };
  }

  function downsample(photo, factor) {
    if (factor === 1) return copy(photo);
    const { width, height } = photo;
    const { columns, rows, means } = blockMeans(photo, factor);
    const across = places(width, columns, factor), down = places(height, rows, factor);
    const out = new Uint8Array(width * height * 3);
    const blend = new Float32Array(columns * 3);
    for (let y = 0, i = 0; y < height; y++) {
      const upper = down.low[y] * columns * 3, lower = down.high[y] * columns * 3;
      const share = down.weight[y];
      for (let k = 0; k < blend.length; k++) {
        blend[k] = means[upper + k] * (1 - share) + means[lower + k] * share;
      }
      for (let x = 0; x < width; x++) {
        const left = across.low[x] * 3, right = across.high[x] * 3, w = across.weight[x];
        for (let c = 0; c < 3; c++) {
          out[i++] = round(Math.fround(blend[left + c] * (1 - w) + blend[right + c] * w));
        }
      }
    }
    return like(photo, out);
  }

  // --- places ---------------------------------------------------------------------------------

  function rotate(photo, degrees) {
    if (degrees === 0) return copy(photo);
    const { width, height, data } = photo;
    const turned = degrees === 180 ? [width, height] : [height, width];
    const out = new Uint8Array(data.length);
    // start of the source, and steps of it along the result's rows and columns (counter-clockwise)
    const [start, alongX, alongY] = {
      90: [width - 1, width, -1],
      180: [width * height - 1, -1, -width],
      270: [(height - 1) * width, -width, 1],
    }[degrees];
    for (let y = 0, i = 0; y < turned[1]; y++) {
      for (let x = 0, s = (start + y * alongY) * 3; x < turned[0]; x++, s += alongX * 3) {
        out[i++] = data[s]; out[i++] = data[s + 1]; out[i++] = data[s + 2];
      }
    }
    return { width: turned[0], height: turned[1], data: out };
  }

  // --- random numbers -------------------------------------------------------------------------

  // mulberry32: whole numbers below 2^32, the same for the same seed
  function generator(seed) {
    const kept = Int32Array.of(seed); // a closure's variable would be boxed anew at every number
    return () => {
      const state = kept[0] = (kept[0] + 0x6d2b79f5) | 0;
      let t = Math.imul(state ^ (state >>> 15), state | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      return (t ^ (t >>> 14)) >>> 0;
    };
  }

  // 65,536 quantiles of the standard normal, by bisection on its series: a uniform index draws one
  let quantiles = null;
  function normals() {
    if (quantiles) return quantiles;
    quantiles = new Float32Array(65536);
    for (let i = 0; i < 32768; i++) {
      const p = (i + 0.5) / 65536;
      // Newton from the quantile before, on Φ(z) = ½ + φ(z)(z + z³/3 + z⁵/15 + …)
      let z = i ? -quantiles[65535 - (i - 1)] : -4.3;
      for (let turn = 0; turn < 8; turn++) {
        const density = Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
        let term = z, sum = z;
        for (let k = 3; Math.abs(term) > 1e-12 * Math.abs(sum); k += 2) sum += term *= (z * z) / k;
        const step = (0.5 + density * sum - p) / density;
        z -= step;
        if (Math.abs(step) < 1e-9) break;
      }
      quantiles[i] = z;
      quantiles[65535 - i] = -z;
    }
    return quantiles;
  }

  const IMAGENET_STD = [0.229, 0.224, 0.225];

  function noise(photo, variance, { seed = 0 } = {}) {
    if (variance === 0) return copy(photo);
    const { data } = photo;
    const table = normals(), next = generator(seed), out = new Uint8Array(data.length);
    const [red, green, blue] = IMAGENET_STD.map((std) => Math.sqrt(variance) * 255 * std);
    const drawn = (sigma) => round(table[next() >>> 16] * sigma);
    for (let i = 0; i < data.length; i += 3) {
      out[i] = clipWhole(data[i] + drawn(red));
      out[i + 1] = clipWhole(data[i + 1] + drawn(green));
      out[i + 2] = clipWhole(data[i + 2] + drawn(blue));
    }
    return like(photo, out);
  }

  // Orders of blocks and of the pixels in them come from the seed alone, so that a larger fraction
  // shuffles further blocks and leaves those before as they were.
  function shuffle(photo, fraction, { seed = 0, block = 8 } = {}) {
    if (fraction === 0) return copy(photo);
    const { width, height, data } = photo;
    const columns = Math.ceil(width / block), rows = Math.ceil(height / block);
    const count = Math.max(1, round(fraction * rows * columns));
    const next = generator(seed);
    const order = Int32Array.from({ length: rows * columns }, (_, i) => i);
    for (let i = order.length - 1; i > 0; i--) {
      const j = next() % (i + 1);
      [order[i], order[j]] = [order[j], order[i]];
    }
    const out = data.slice();
    const inside = new Int32Array(block * block);
    for (const chosen of order.subarray(0, count)) {
      const top = Math.floor(chosen / columns) * block, left = (chosen % columns) * block;
      let pixels = 0;
      for (let y = top; y < Math.min(top + block, height); y++) {
        for (let x = left; x < Math.min(left + block, width); x++) {
          inside[pixels++] = (y * width + x) * 3;
        }
      }
      const draw = generator(seed ^ Math.imul(chosen + 1, 0x9e3779b1));
      for (let i = pixels - 1; i > 0; i--) {
        const a = inside[i], b = inside[draw() % (i + 1)];
        for (let c = 0; c < 3; c++) {
          const kept = out[a + c];
          out[a + c] = out[b + c];
          out[b + c] = kept;
        }
      }
    }
    return like(photo, out);
  }

  // --- blending -------------------------------------------------------------------------------

  function mixup(photo, alpha, { partner } = {}) {
    if (partner.width !== photo.width || partner.height !== photo.height) {
      throw new RangeError("the partner must have the photograph's size");
    }
    const own = new Float32Array(256), other = new Float32Array(256);
    const [kept, added] = [Math.fround(1 - alpha), Math.fround(alpha)];
    for (let value = 0; value < 256; value++) {
      own[value] = value * kept;
      other[value] = value * added;
    }
    const { data } = photo, out = new Uint8Array(data.length);
    for (let i = 0; i < data.length; i++) {
      out[i] = round(Math.fround(own[data[i]] + other[partner.data[i]]));
    }
    return like(photo, out);
  }

  // --- Gaussian blur --------------------------------------------------------------------------

  // Weights of the middle and of one side, up to a multiple of three of them, what is over being 0.
  function oneSided(values) {
    const sum = 2 * values.reduce((a, b) => a + b, 0) - values[0];
    const weights = new Float32Array(1 + wholes(values.length - 1, 3));
    weights.set(values.map((value) => value / sum));
    return weights;
  }

  const kernel = (sigma) => oneSided(Float64Array.from({ length: Math.ceil(4 * sigma) + 1 },
    (_, i) => Math.exp((-i * i) / (2 * sigma * sigma))));

  // out[i] = Σ weight[o] · (line[middle + i − o·stride] + line[middle + i + o·stride])
  function weigh(line, middle, stride, weights, out, length) {
    for (let o = 1; o < weights.length; o += 3) {
      const first = weights[0], p = weights[o], q = weights[o + 1], r = weights[o + 2];
      const a = o * stride, b = a + stride, c = b + stride;
      if (o === 1) {
        for (let i = 0, m = middle; i < length; i++, m++) {
          out[i] = first * line[m] + p * (line[m - a] + line[m + a])
            + q * (line[m - b] + line[m + b]) + r * (line[m - c] + line[m + c]);
        }
        continue;
      }
      for (let i = 0, m = middle; i < length; i++, m++) {
        out[i] += p * (line[m - a] + line[m + a]) + q * (line[m - b] + line[m + b])
          + r * (line[m - c] + line[m + c]);
      }
    }
  }

  let room = new Float32Array(0); // kept from one blur to the next

  // Down first, then across, as in aesthlib; the outermost pixels are repeated beyond the edges.
  function weighBoth(data, length, rows, weights, out) {
    const radius = weights.length - 1, middle = 3 * radius, tall = rows + 2 * radius;
    if (room.length < tall * length) room = new Float32Array(tall * length);
    for (let y = 0; y < tall; y++) {
      const from = Math.min(rows - 1, Math.max(0, y - radius)) * length;
      room.set(data.subarray(from, from + length), y * length);
    }
    const row = new Float32Array(length), padded = new Float32Array(length + 2 * middle);
    for (let y = 0; y < rows; y++) {
      weigh(room, (y + radius) * length, length, weights, row, length);
      padded.set(row, middle);
      for (let i = 0; i < middle; i++) {
        padded[i] = row[i % 3];
        padded[middle + length + i] = row[length - 3 + (i % 3)];
      }
      weigh(padded, middle, 3, weights, row, length);
      out.set(row, y * length);
    }
    return out;
  }

  // A wide Gaussian on every k-th pixel: cubic B-splines of k pixels, a narrower kernel, B-splines.
  // The kernel's spectrum is the Gaussian's over that of both splines. From σ/k ≥ 1.2 on, where the
  // result differs from the full kernel's by under a level.
  const WIDE = 2.4; // the smallest σ that is done by cells
  const BEYOND = 3; // cells beyond the edges; those further out are as the last one

  function spline(t) {
    t = Math.abs(t);
    return t < 1 ? ((3 * t - 6) * t * t + 4) / 6 : t < 2 ? (2 - t) ** 3 / 6 : 0;
  }

  function narrowed(sigma, k) {
    const values = new Float64Array(Math.ceil((4 * sigma) / k) + 2), steps = 128;
    for (let step = 0; step < steps; step++) {
      const turn = (Math.PI * (step + 0.5)) / steps; // of a cell
      let splines = spline(0);
      for (let j = 1; j < 2 * k; j++) splines += 2 * spline(j / k) * Math.cos((turn * j) / k);
      const share = Math.exp(-((turn * sigma / k) ** 2) / 2) / (splines / k) ** 2;
      for (let i = 0; i < values.length; i++) values[i] += share * Math.cos(turn * i);
    }
    return oneSided(values);
  }

  // Each cell from n pixels, and each pixel from the cells: the first of them, and their weights.
  function toCells(n, k) {
    const inside = (pixel) => Math.min(n - 1, Math.max(0, pixel));
    return Array.from({ length: Math.ceil(n / k) + 2 * BEYOND }, (_, cell) => {
      const at = (cell - BEYOND) * k, reach = 2 * k - 1, low = inside(at - reach);
      const weights = new Float64Array(inside(at + reach) - low + 1);
      for (let j = -reach; j <= reach; j++) weights[inside(at + j) - low] += spline(j / k) / k;
      return { low, weights };
    });
  }

  function toPixels(n, k) {
    return Array.from({ length: n }, (_, i) => {
      const at = i / k + BEYOND, low = Math.floor(at) - 1;
      return { low, weights: Float64Array.from([0, 1, 2, 3], (j) => spline(at - low - j)) };
    });
  }

  function mixDown(data, length, cells) {
    const out = new Float32Array(cells.length * length);
    cells.forEach(({ low, weights }, cell) => {
      const row = out.subarray(cell * length, (cell + 1) * length);
      for (let j = 0; j < weights.length; j += 2) {
        const upper = (low + j) * length, p = weights[j];
        const lower = j + 1 < weights.length ? upper + length : upper, q = weights[j + 1] ?? 0;
        for (let i = 0; i < length; i++) row[i] += p * data[upper + i] + q * data[lower + i];
      }
    });
    return out;
  }

  function mixAcross(data, length, rows, cells) {
    const out = new Float32Array(rows * cells.length * 3);
    for (let y = 0, o = 0; y < rows; y++) {
      for (let cell = 0; cell < cells.length; cell++, o += 3) {
        const { low, weights } = cells[cell];
        let r = 0, g = 0, b = 0;
        for (let j = 0, p = y * length + 3 * low; j < weights.length; j++, p += 3) {
          const w = weights[j];
          r += w * data[p]; g += w * data[p + 1]; b += w * data[p + 2];
        }
        out[o] = r; out[o + 1] = g; out[o + 2] = b;
      }
    }
    return out;
  }

  function wideBlur({ width, height, data }, sigma, k, out) {
    const across = toCells(width, k), down = toCells(height, k);
    const length = 3 * across.length, rows = down.length;
    const cells = mixAcross(mixDown(new Float32Array(data), 3 * width, down), 3 * width, rows, across);
    weighBoth(cells, length, rows, narrowed(sigma, k), cells);
    out.set(mixDown(mixAcross(cells, length, rows, toPixels(width, k)), 3 * width, toPixels(height, k)));
  }

  function blur(photo, sigma) {
    if (sigma === 0) return copy(photo);
    const { width, height, data } = photo;
    const out = new Uint8ClampedArray(data.length); // what it takes in is rounded half to even
    if (sigma < WIDE) weighBoth(data, 3 * width, height, kernel(sigma), out);
    else wideBlur(photo, sigma, Math.floor((2 * sigma) / WIDE), out);
    return like(photo, new Uint8Array(out.buffer));
  }

  // --- JPEG: the integer arithmetic of libjpeg, 4:2:0, without the entropy coding -------------

  const LUMINANCE = [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113,
    92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
  ];
  const CHROMINANCE = Array.from({ length: 64 }, (_, i) => {
    const [row, column] = [i >> 3, i & 7];
    return [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]][row]?.[column] ?? 99;
  });
  const scaled = (table, quality) => {
    const scale = quality < 50 ? Math.floor(5000 / quality) : 200 - 2 * quality;
    return Int32Array.from(table, (value) =>
      Math.min(255, Math.max(1, Math.floor((value * scale + 50) / 100))));
  };

  const mul = Math.imul;
  // constants of the accurate integer DCT, 13 bits behind the point
  const C = Object.fromEntries(
    [0.298631336, 0.390180644, 0.54119610, 0.765366865, 0.899976223, 1.175875602, 1.501321110,
      1.847759065, 1.961570560, 2.053119869, 2.562915447, 3.072711026]
      .map((value, i) => ["abcdefghijkl"[i], Math.round(value * 8192)]));
  const { a: Ca, b: Cb, c: Cc, d: Cd, e: Ce, f: Cf, g: Cg, h: Ch, i: Ci, j: Cj, k: Ck, l: Cl } = C;

  // One pass over eight rows (step 1) or columns (step 8); whole parts keep `up` extra bits.
  function forward(b, step, shift, up) {
    const skip = step === 1 ? 8 : 1, half = 1 << (shift - 1);
    for (let line = 0, p = 0; line < 8; line++, p += skip) {
      const s0 = b[p] + b[p + 7 * step], d0 = b[p] - b[p + 7 * step];
      const s1 = b[p + step] + b[p + 6 * step], d1 = b[p + step] - b[p + 6 * step];
      const s2 = b[p + 2 * step] + b[p + 5 * step], d2 = b[p + 2 * step] - b[p + 5 * step];
      const s3 = b[p + 3 * step] + b[p + 4 * step], d3 = b[p + 3 * step] - b[p + 4 * step];
      const e0 = s0 + s3, e3 = s0 - s3, e1 = s1 + s2, e2 = s1 - s2;
      b[p] = up > 0 ? (e0 + e1) << up : (e0 + e1 + 2) >> 2;
      b[p + 4 * step] = up > 0 ? (e0 - e1) << up : (e0 - e1 + 2) >> 2;
      const even = mul(e2 + e3, Cc);
      b[p + 2 * step] = (even + mul(e3, Cd) + half) >> shift;
      b[p + 6 * step] = (even - mul(e2, Ch) + half) >> shift;
      const all = mul(d3 + d1 + d2 + d0, Cf);
      const z1 = -mul(d3 + d0, Ce), z2 = -mul(d2 + d1, Ck);
      const z3 = all - mul(d3 + d1, Ci), z4 = all - mul(d2 + d0, Cb);
      b[p + 7 * step] = (mul(d3, Ca) + z1 + z3 + half) >> shift;
      b[p + 5 * step] = (mul(d2, Cj) + z2 + z4 + half) >> shift;
      b[p + 3 * step] = (mul(d1, Cl) + z2 + z3 + half) >> shift;
      b[p + step] = (mul(d0, Cg) + z1 + z4 + half) >> shift;
    }
  }

  function backward(b, step, shift) {
    const skip = step === 1 ? 8 : 1, half = 1 << (shift - 1);
    for (let line = 0, p = 0; line < 8; line++, p += skip) {
      const i0 = b[p], i1 = b[p + step], i2 = b[p + 2 * step], i3 = b[p + 3 * step];
      const i4 = b[p + 4 * step], i5 = b[p + 5 * step], i6 = b[p + 6 * step], i7 = b[p + 7 * step];
      const even = mul(i2 + i6, Cc);
      const t2 = even - mul(i6, Ch), t3 = even + mul(i2, Cd);
      const t0 = (i0 + i4) << 13, t1 = (i0 - i4) << 13;
      const e0 = t0 + t3 + half, e3 = t0 - t3 + half, e1 = t1 + t2 + half, e2 = t1 - t2 + half;
      const all = mul(i7 + i3 + i5 + i1, Cf);
      const z1 = -mul(i7 + i1, Ce), z2 = -mul(i5 + i3, Ck);
      const z3 = all - mul(i7 + i3, Ci), z4 = all - mul(i5 + i1, Cb);
      const o0 = mul(i7, Ca) + z1 + z3, o1 = mul(i5, Cj) + z2 + z4;
      const o2 = mul(i3, Cl) + z2 + z3, o3 = mul(i1, Cg) + z1 + z4;
      b[p] = (e0 + o3) >> shift; b[p + 7 * step] = (e0 - o3) >> shift;
      b[p + step] = (e1 + o2) >> shift; b[p + 6 * step] = (e1 - o2) >> shift;
      b[p + 2 * step] = (e2 + o1) >> shift; b[p + 5 * step] = (e2 - o1) >> shift;
      b[p + 3 * step] = (e3 + o0) >> shift; b[p + 4 * step] = (e3 - o0) >> shift;
    }
  }

  // Code and decode a plane (multiples of 8 a side), in place.
  function codePlane(plane, width, height, table) {
    const b = new Int32Array(64);
    for (let top = 0; top < height; top += 8) {
      for (let left = 0; left < width; left += 8) {
        const at = top * width + left;
        for (let y = 0, i = 0, p = at; y < 8; y++, p += width) {
          for (let x = 0; x < 8; x++) b[i++] = plane[p + x] - 128;
        }
        forward(b, 1, 11, 2);
        forward(b, 8, 15, 0);
        for (let i = 0; i < 64; i++) {
          const value = b[i], unit = table[i], step = unit << 3, half = unit << 2;
          if (value < half && value > -half) b[i] = 0;
          else b[i] = (value < 0 ? -(((half - value) / step) | 0) : ((value + half) / step) | 0) * unit;
        }
        backward(b, 8, 11);
        backward(b, 1, 18);
        for (let y = 0, i = 0, p = at; y < 8; y++, p += width) {
          for (let x = 0; x < 8; x++) {
            const value = b[i++] + 128;
            plane[p + x] = value < 0 ? 0 : value > 255 ? 255 : value;
          }
        }
      }
    }
  }

  const fix = (value) => Math.floor(value * 65536 + 0.5);

  function jpeg(photo, quality) {
    const { width, height, data } = photo;
    const wide = wholes(width, 16), tall = wholes(height, 16);
    const [luma, blue, red] = [0, 1, 2].map(() => new Uint8Array(wide * tall));
    const Y = [fix(0.299), fix(0.587), fix(0.114)];
    const B = [-fix(0.168735892), -fix(0.331264108)], R = [-fix(0.418687589), -fix(0.081312411)];
    const middle = (128 << 16) + 32767;
    for (let y = 0, i = 0; y < height; y++) {
      let o = y * wide;
      for (let x = 0; x < width; x++, i += 3, o++) {
        const r = data[i], g = data[i + 1], b = data[i + 2];
        luma[o] = (mul(r, Y[0]) + mul(g, Y[1]) + mul(b, Y[2]) + 32768) >> 16;
        blue[o] = (mul(r, B[0]) + mul(g, B[1]) + (b << 15) + middle) >> 16;
        red[o] = ((r << 15) + mul(g, R[0]) + mul(b, R[1]) + middle) >> 16;
      }
      for (const plane of [luma, blue, red]) plane.fill(plane[o - 1], o, (y + 1) * wide);
    }
    for (let y = height; y < tall; y++) {
      const last = (height - 1) * wide;
      for (const plane of [luma, blue, red]) plane.copyWithin(y * wide, last, last + wide);
    }
    codePlane(luma, wide, tall, scaled(LUMINANCE, quality));
    const table = scaled(CHROMINANCE, quality);
    const chroma = [blue, red].map((plane) => codeChroma(plane, wide, tall, height, table));
    return like(photo, toRgb(luma, chroma, wide, width, height));
  }

  // Means of 2 × 2 with the alternating bias 1, 2; rows below the photograph repeat the last one.
  function codeChroma(plane, wide, tall, height, table) {
    const w = wide >> 1, h = tall >> 1, rows = (height + 1) >> 1;
    const small = new Uint8Array(w * h);
    for (let y = 0; y < rows; y++) {
      for (let x = 0, p = 2 * y * wide; x < w; x++, p += 2) {
        const sum = plane[p] + plane[p + 1] + plane[p + wide] + plane[p + wide + 1];
        small[y * w + x] = (sum + 1 + (x & 1)) >> 2;
      }
    }
    for (let y = rows; y < h; y++) small.copyWithin(y * w, (rows - 1) * w, rows * w);
    codePlane(small, w, h, table);
    return small;
  }

  // Chroma of one row at full width: ¾ of the nearer sample and ¼ of the further, both ways.
  function enlarge(small, stride, rows, columns, y, out) {
    const near = (y >> 1) * stride;
    if (columns <= 2) { // libjpeg repeats what is so narrow
      for (let x = 0; x < 2 * columns; x++) out[x] = small[near + (x >> 1)];
      return;
    }
    const far = Math.min(rows - 1, Math.max(0, (y >> 1) + (y & 1 ? 1 : -1))) * stride;
    const sum = (x) => 3 * small[near + x] + small[far + x];
    let before, here = sum(0), after = sum(1);
    out[0] = (4 * here + 8) >> 4;
    out[1] = (3 * here + after + 7) >> 4;
    for (let x = 1; x < columns - 1; x++) {
      before = here; here = after; after = sum(x + 1);
      out[2 * x] = (3 * here + before + 8) >> 4;
      out[2 * x + 1] = (3 * here + after + 7) >> 4;
    }
    out[2 * columns - 2] = (3 * after + here + 8) >> 4;
    out[2 * columns - 1] = (4 * after + 7) >> 4;
  }

  function toRgb(luma, chroma, wide, width, height) {
    const out = new Uint8Array(width * height * 3);
    const rows = (height + 1) >> 1, columns = (width + 1) >> 1;
    const [blue, red] = [0, 1].map(() => new Int32Array(wide));
    const [toR, toB, gR, gB] = [fix(1.402), fix(1.772), -fix(0.71414), -fix(0.34414)];
    for (let y = 0, i = 0; y < height; y++) {
      enlarge(chroma[0], wide >> 1, rows, columns, y, blue);
      enlarge(chroma[1], wide >> 1, rows, columns, y, red);
      for (let x = 0; x < width; x++, i += 3) {
        const l = luma[y * wide + x], b = blue[x] - 128, r = red[x] - 128;
        const R = l + ((mul(toR, r) + 32768) >> 16);
        const G = l + ((mul(gR, r) + mul(gB, b) + 32768) >> 16);
        const B = l + ((mul(toB, b) + 32768) >> 16);
        out[i] = R < 0 ? 0 : R > 255 ? 255 : R;
        out[i + 1] = G < 0 ? 0 : G > 255 ? 255 : G;
        out[i + 2] = B < 0 ? 0 : B > 255 ? 255 : B;
      }
    }
    return out;
  }

  // --- sizes: Pillow's filters, in its fixed point --------------------------------------------

  function lanczos(x) {
    if (x === 0) return 1;
    if (x <= -3 || x >= 3) return 0;
    const at = x * Math.PI;
    return ((Math.sin(at) / at) * Math.sin(at / 3)) / (at / 3);
  }

  const triangle = (x) => Math.max(0, 1 - Math.abs(x));

  function taps(from, to, filter) {
    const scale = from / to, stretch = Math.max(scale, 1);
    const support = (filter === lanczos ? 3 : 1) * stretch;
    return Array.from({ length: to }, (_, i) => {
      const centre = (i + 0.5) * scale;
      const low = Math.max(0, Math.trunc(centre - support + 0.5));
      const high = Math.min(from, Math.trunc(centre + support + 0.5));
      const raw = Float64Array.from({ length: high - low }, (_, j) =>
        filter((j + low - centre + 0.5) * (1 / stretch)));
      const sum = raw.reduce((a, b) => a + b, 0);
      const weights = Int32Array.from(raw, (w) => {
        const value = (w / sum) * (1 << 22);
        return Math.trunc(value < 0 ? value - 0.5 : value + 0.5);
      });
      return { low, weights };
    });
  }

  // n cells to as many as there are taps: `at` gives where a cell of the source and the result lies
  function resample(data, out, cells, lines, stepIn, lineIn, stepOut, lineOut) {
    for (let line = 0; line < lines; line++) {
      for (let i = 0; i < cells.length; i++) {
        const { low, weights } = cells[i];
        let r = 1 << 21, g = 1 << 21, b = 1 << 21;
        for (let j = 0, p = line * lineIn + low * stepIn; j < weights.length; j++, p += stepIn) {
          const w = weights[j];
          r += mul(data[p], w); g += mul(data[p + 1], w); b += mul(data[p + 2], w);
        }
        const o = line * lineOut + i * stepOut;
        out[o] = clip(r >> 22); out[o + 1] = clip(g >> 22); out[o + 2] = clip(b >> 22);
      }
    }
    return out;
  }

  function resize(photo, width, height, filter = lanczos) {
    let { data } = photo;
    if (width !== photo.width) {
      data = resample(data, new Uint8Array(width * photo.height * 3), taps(photo.width, width, filter),
        photo.height, 3, photo.width * 3, 3, width * 3);
    }
    if (height !== photo.height) {
      data = resample(data, new Uint8Array(width * height * 3), taps(photo.height, height, filter),
        width, width * 3, 3, width * 3, 3);
    }
    return { width, height, data: data === photo.data ? data.slice() : data };
  }

  function crop(photo, left, top, width, height) {
    const out = new Uint8Array(width * height * 3);
    for (let y = 0; y < height; y++) {
      const from = ((top + y) * photo.width + left) * 3;
      out.set(photo.data.subarray(from, from + width * 3), y * width * 3);
    }
    return { width, height, data: out };
  }

  // The middle of a photograph, at a shorter edge, as the probes see it: resized as in a pack.
  function patch(photo, shorterEdge, size) {
    const scale = shorterEdge / Math.min(photo.width, photo.height);
    const [width, height] = [photo.width, photo.height]
      .map((side) => Math.max(shorterEdge, round(side * scale)));
    const small = resize(photo, width, height, triangle);
    return crop(small, (width - size) >> 1, (height - size) >> 1, size, size);
  }

  // Another photograph at this one's size: covering it, its middle kept.
  function fit(partner, photo) {
    const { width, height } = photo;
    const scale = Math.max(width / partner.width, height / partner.height);
    const [w, h] = [Math.max(width, round(partner.width * scale)),
      Math.max(height, round(partner.height * scale))];
    return crop(resize(partner, w, h), (w - width) >> 1, (h - height) >> 1, width, height);
  }

  const BY_NAME = {
    jpeg, gaussian_noise: noise, rotation: rotate, downsampling: downsample, quantization: quantize,
    pixelation: pixelate, exposure: expose, gaussian_blur: blur, patch_shuffle: shuffle, mixup,
  };

  // What fit made of a partner is kept, for a few sizes.
  const fitted = new WeakMap();
  function fitOnce(partner, photo) {
    const bySize = fitted.get(partner) ?? new Map(), size = `${photo.width} × ${photo.height}`;
    if (bySize.has(size)) return bySize.get(size);
    if (bySize.size === 4) bySize.clear();
    fitted.set(partner, bySize.set(size, fit(partner, photo)));
    return bySize.get(size);
  }

  // One step of a chain; more: {seed, partner}, the partner of any size.
  function apply(photo, name, value, more = {}) {
    if (name === "mixup") more = { ...more, partner: fitOnce(more.partner, photo) };
    return BY_NAME[name](photo, value, more);
  }

  return { ...BY_NAME, apply, crop, fit, fitOnce, patch, resize, round, normals };
})();
