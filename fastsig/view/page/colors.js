// Values to colours: limits, stretch and map; the theme of the page for what is drawn.

function theme() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(name).trim();
  return { ink: of("--ink"), faint: of("--faint"), paper: of("--paper"), line: of("--line"),
    second: of("--second"), mark: of("--mark"), hatch: of("--hatch"), empty: of("--empty") };
}

const unit = (share) => Math.max(0, Math.min(1, share));

// Shares of the map of colours, 0 to 1, of values.
const STRETCHES = {
  linear: (low, high) => (value) => (value - low) / (high - low),
  log: (low, high) => {
    const bottom = Math.log(low), span = Math.log(high) - bottom;
    return (value) => (value > 0 ? (Math.log(value) - bottom) / span : 0);
  },
  // About the middle of signed values, else from the lower limit.
  asinh: (low, high, signed) => {
    const from = signed ? (low + high) / 2 : low, span = high - from;
    const bend = (value) => Math.asinh((10 * (value - from)) / span) / Math.asinh(10);
    return signed ? (value) => 0.5 + bend(value) / 2 : bend;
  },
};

class Colors {
  constructor(maps) {
    this.maps = maps;
    Object.assign(this, { low: 0, high: 1, stretch: "linear", map: "viridis", signed: false });
  }

  // Words of 32 bits, as image data is laid out on the processors there are.
  table() {
    const text = this.maps[this.map], found = new Uint32Array(256);
    for (let k = 0; k < 256; k++) {
      const [red, green, blue] = [0, 2, 4].map((at) => parseInt(text.substr(6 * k + at, 2), 16));
      found[k] = (255 << 24) | (blue << 16) | (green << 8) | red;
    }
    return found;
  }

  share() {
    return STRETCHES[this.stretch](this.low, this.high, this.signed);
  }

  // A logarithm needs limits above 0: the lower one then is a ten-thousandth of the upper.
  setLimits(low, high) {
    if (!Number.isFinite(low) || !Number.isFinite(high)) return false;
    if (this.stretch === "log" && !(high > 0)) return false;
    if (this.stretch === "log" && !(low > 0)) low = high / 1e4;
    if (!(high > low)) return false;
    Object.assign(this, { low, high });
    return true;
  }
}

// Limits that leave out the same share of values at both ends; symmetric ones for signed values.
function percentileLimits(values, percent, signed) {
  const step = Math.max(1, Math.floor(values.length / 200000)), kept = [];
  for (let k = 0; k < values.length; k += step) if (Number.isFinite(values[k])) kept.push(values[k]);
  if (!kept.length) return [0, 1];
  kept.sort((a, b) => a - b);
  const share = (100 - percent) / 200, last = kept.length - 1;
  let low = kept[Math.floor(share * last)], high = kept[Math.ceil((1 - share) * last)];
  if (signed) [low, high] = [-1, 1].map((sign) => sign * Math.max(Math.abs(low), Math.abs(high)));
  if (high > low) return [low, high];
  return kept[last] > kept[0] ? [kept[0], kept[last]] : [low - 0.5, high + 0.5];
}

// A picture of the cells from (i0, j0) on, a pixel for `bx` x `by` of them, their weighted mean;
// cells without weight stay transparent, so that what lies below shows.
function cellPicture(field, i0, i1, j0, j1, bx, by, colors) {
  const width = Math.ceil((i1 - i0) / bx), height = Math.ceil((j1 - j0) / by);
  const image = new ImageData(width, height), words = new Uint32Array(image.data.buffer);
  const table = colors.table(), share = colors.share(), { values, nx, weight } = field;
  for (let row = 0; row < height; row++) {
    const line = (height - 1 - row) * width;
    for (let column = 0; column < width; column++) {
      let total = 0, sum = 0;
      for (let j = j0 + row * by; j < Math.min(j1, j0 + (row + 1) * by); j++) {
        for (let i = i0 + column * bx; i < Math.min(i1, i0 + (column + 1) * bx); i++) {
          const value = values[j * nx + i];
          if (Number.isNaN(value)) continue;
          const counts = bx * by === 1 ? 1 : weight(j * nx + i);
          total += counts * value;
          sum += counts;
        }
      }
      if (sum > 0) words[line + column] = table[Math.round(255 * unit(share(total / sum)))];
    }
  }
  return image;
}

function hatched(context, colors) {
  const tile = new OffscreenCanvas(8, 8), pen = tile.getContext("2d");
  pen.fillStyle = colors.empty;
  pen.fillRect(0, 0, 8, 8);
  pen.strokeStyle = colors.hatch;
  pen.lineWidth = 1.2;
  pen.beginPath();
  for (const shift of [-8, 0, 8]) {
    pen.moveTo(shift - 1, 9);
    pen.lineTo(shift + 9, -1);
  }
  pen.stroke();
  return context.createPattern(tile, "repeat");
}
