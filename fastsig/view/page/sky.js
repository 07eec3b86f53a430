// Sky positions of a map: read between the nodes of a grid that was computed with the file's
// coordinates, and a graticule drawn from them.

const TIME_STEPS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200,
  1800, 3600, 7200, 10800, 21600].map((second) => second / 240); // of right ascension, in degrees
const ANGLE_STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200,
  18000, 36000, 54000, 108000].map((second) => second / 3600);

// 60 s never show: rounding comes before the parts are split.
function sexagesimal(value, marks, decimals, parts = 3) {
  const scale = 10 ** decimals, total = Math.round(Math.abs(value) * 3600 * scale);
  const seconds = (total % (60 * scale)) / scale, minutes = Math.floor(total / (60 * scale)) % 60;
  const whole = Math.floor(total / (3600 * scale));
  const width = decimals ? decimals + 3 : 2;
  return [`${two(whole)}${marks[0]}`, `${two(minutes)}${marks[1]}`,
    `${seconds.toFixed(decimals).padStart(width, "0")}${marks[2]}`].slice(0, parts).join("");
}

class Sky {
  constructor(model, bytes) {
    Object.assign(this, model);
    const all = new Float64Array(bytes.buffer), n = this.nodes * this.nodes;
    this.grids = [all.subarray(0, n), all.subarray(n)];
    this.decimals = Math.max(0, Math.ceil(-Math.log10(Math.min(...this.pixel_arcsec) / 10)));
  }

  // Longitude (which runs on through 360) or latitude in degrees, NaN off the sky.
  at(which, x, y) {
    const { nodes, end } = this, grid = this.grids[which];
    const [u, v] = [(x / end[0]) * (nodes - 1), (y / end[1]) * (nodes - 1)];
    const [i, j] = [clamp(Math.floor(u), 0, nodes - 2), clamp(Math.floor(v), 0, nodes - 2)];
    const [a, b, at] = [u - i, v - j, j * nodes + i];
    return (1 - b) * ((1 - a) * grid[at] + a * grid[at + 1]) + b * ((1 - a) * grid[at + nodes] + a * grid[at + nodes + 1]);
  }

  text(which, value, step = null) {
    if (!Number.isFinite(value)) return "off the sky";
    const turned = which === 0 ? ((value % 360) + 360) % 360 : value;
    const sign = which === 1 ? (value < 0 ? "−" : "+") : "";
    if (!this.equatorial) return `${sign}${fixed(Math.abs(turned), step ? decimalsOf(step) : this.decimals + 3)}°`;
    const hours = which === 0, marks = hours ? ["h", "m", "s"] : ["°", "′", "″"];
    const unitStep = step && step * (hours ? 240 : 3600); // in seconds of the kind that is shown
    const parts = !step ? 3 : unitStep >= 3600 ? 1 : unitStep >= 60 ? 2 : 3;
    const decimals = step ? decimalsOf(unitStep) : this.decimals + (hours ? 1 : 0);
    const shown = hours ? (Math.round((turned / 15) * 3600 * 10 ** decimals) / 10 ** decimals / 3600) % 24 : turned;
    return sign + sexagesimal(shown, marks, decimals, parts);
  }

  title(which) {
    const known = { RA: "right ascension", DEC: "declination", GLON: "galactic longitude", GLAT: "galactic latitude" };
    return `${known[this.names[which]] ?? this.names[which]} (${this.frame})`;
  }

  // Values over the part that is shown, on a grid of its own.
  sampled(which, view, n) {
    const found = new Float64Array((n + 1) * (n + 1));
    for (let j = 0; j <= n; j++) {
      for (let i = 0; i <= n; i++) {
        found[j * (n + 1) + i] = this.at(which, view.x0 + ((view.x1 - view.x0) * i) / n, view.y0 + ((view.y1 - view.y0) * j) / n);
      }
    }
    return found;
  }

  levels(which, values, count) {
    let low = Infinity, high = -Infinity;
    for (const value of values) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
    const steps = !this.equatorial ? null : which === 0 ? TIME_STEPS : ANGLE_STEPS;
    return roundTicks(low, high, count, steps);
  }

  draw(pen, colors, panel) {
    const box = panel.box, view = panel.shown(), n = 48;
    pen.lineWidth = 1;
    for (const which of this.polar ? [1] : [0, 1]) {
      const values = this.sampled(which, view, n);
      const levels = this.levels(which, values, which === 0 ? box.width / 110 : box.height / 75);
      pen.strokeStyle = "rgba(255,255,255,.38)";
      pen.beginPath();
      for (const { value } of levels) contour(pen, values, n, value, box);
      pen.stroke();
      this.label(pen, colors, box, view, which, levels, panel.node.clientWidth);
    }
    pen.fillStyle = colors.ink;
    textAt(pen, this.title(0), box.left + box.width / 2, box.top + box.height + 26, "center", "top");
    turnedText(pen, this.title(1), box.left - 78, box.top + box.height / 2);
  }

  // Longitudes along the lower side, latitudes along the left one.
  label(pen, colors, box, view, which, levels, panelWidth) {
    const n = 400, level = which === 0;
    const value = (k) => level ? this.at(0, view.x0 + ((view.x1 - view.x0) * k) / n, view.y0)
      : this.at(1, view.x0, view.y0 + ((view.y1 - view.y0) * k) / n);
    pen.strokeStyle = colors.ink;
    pen.fillStyle = colors.ink;
    let last = -Infinity;
    for (let k = 0; k < n; k++) {
      const [a, b] = [value(k), value(k + 1)];
      for (const { value: wanted, step } of levels) {
        if (!((a <= wanted && wanted < b) || (b < wanted && wanted <= a))) continue;
        const share = (k + (wanted - a) / (b - a)) / n, text = this.text(which, wanted, step);
        const place = level ? box.left + share * box.width : box.top + box.height * (1 - share);
        const room = level ? pen.measureText(text).width + 8 : 15;
        const low = box.top + box.height;
        stroke(pen, level ? [place, low, place, low + 5] : [box.left, place, box.left - 5, place]);
        if (Math.abs(place - last) < room || (level && place + room / 2 > panelWidth)) continue;
        last = place;
        if (level) textAt(pen, text, place, low + 8, "center", "top");
        else textAt(pen, text, box.left - 8, place, "right", "middle");
      }
    }
  }
}

// Lines where values over a grid of n x n squares cross a level.
function contour(pen, values, n, level, box) {
  const width = n + 1;
  for (let j = 0; j < n; j++) {
    for (let i = 0; i < n; i++) {
      const at = j * width + i, corners = [[0, 0, at], [1, 0, at + 1], [1, 1, at + width + 1], [0, 1, at + width]];
      const found = [];
      for (let side = 0; side < 4; side++) {
        const [ax, ay, a] = corners[side], [bx, by, b] = corners[(side + 1) % 4];
        const [from, to] = [values[a] - level, values[b] - level];
        if (!((from < 0 && to >= 0) || (from >= 0 && to < 0))) continue;
        const share = from / (from - to);
        found.push([box.left + ((i + ax + share * (bx - ax)) / n) * box.width,
          box.top + box.height * (1 - (j + ay + share * (by - ay)) / n)]);
      }
      for (let k = 0; k + 1 < found.length; k += 2) {
        pen.moveTo(...found[k]);
        pen.lineTo(...found[k + 1]);
      }
    }
  }
}
