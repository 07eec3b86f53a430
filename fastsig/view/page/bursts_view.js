// Pictures and facts of candidates: small ones in the rows, large ones of the candidate that is chosen.

class Pictures {
  constructor(model, bytes) {
    Object.assign(this, { model, bytes, size: model.shape[0] * model.shape[1] });
    this.palette = Array.from({ length: 16 }, (_, level) => {
      const at = 6 * Math.round((255 * Math.max(0, level - 1)) / 14);
      return [0, 2, 4].map((byte) => parseInt(model.map.substr(at + byte, 2), 16));
    });
  }

  has(row) {
    return row < this.model.pictures && !(String(row) in this.model.troubles);
  }

  // Two pixels in a byte; picture 0 of a row is the aligned one, 1 the bow tie. Row 0 is the lowest.
  draw(canvas, row, which) {
    const [height, width] = this.model.shape;
    Object.assign(canvas, { width, height });
    if (!this.has(row)) return;
    const context = canvas.getContext("2d"), image = context.createImageData(width, height);
    const first = (2 * row + which) * this.size;
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const at = first + y * width + x, byte = this.bytes[at >> 1];
        const level = at & 1 ? byte & 15 : byte >> 4;
        image.data.set([...this.palette[level], level ? 255 : 0], 4 * ((height - 1 - y) * width + x));
      }
    }
    context.putImageData(image, 0, 0);
  }

  profile(row) {
    const [low, high] = this.model.ranges[row], width = this.model.shape[1];
    const first = this.size * this.model.pictures + row * width;
    return Array.from(this.bytes.subarray(first, first + width), (code) => low + (code / 255) * (high - low));
  }

  drawProfile(canvas, row) {
    Object.assign(canvas, { width: 800, height: 180 });
    if (!this.has(row)) return;
    const values = this.profile(row), context = canvas.getContext("2d");
    const low = Math.min(0, ...values), high = Math.max(1, ...values);
    const style = getComputedStyle(document.documentElement);
    const up = (value) => 172 - (164 * (value - low)) / (high - low);
    context.strokeStyle = style.getPropertyValue("--line");
    context.beginPath();
    context.moveTo(0, up(0));
    context.lineTo(800, up(0));
    context.stroke();
    context.strokeStyle = style.getPropertyValue("--faint");
    context.lineWidth = 2.5;
    context.beginPath();
    values.forEach((value, k) => {
      const step = 800 / values.length;
      context.lineTo(k * step, up(value));
      context.lineTo((k + 1) * step, up(value));
    });
    context.stroke();
  }
}

const plain = (value, digits = 6) => (value === null || value === undefined ? "" : String(Number(value.toPrecision(digits))));

// The candidate that is chosen: pictures with their axes, and every value of its row.
class Chosen {
  constructor(model, pictures) {
    Object.assign(this, { model, pictures });
    this.title = make("h2", {});
    this.curve = make("canvas", { className: "curve", role: "img", ariaLabel: "profile" });
    this.image = make("canvas", { className: "image", role: "img", ariaLabel: "aligned spectra" });
    this.tie = make("canvas", { className: "tie", role: "img", ariaLabel: "S/N against time and DM" });
    this.under = make("p", { className: "label" });
    this.below = make("p", { className: "label" });
    this.note = make("p", { className: "hint" });
    this.facts = make("tbody", {});
    this.node = make("section", { className: "one" }, this.title, this.note, this.curve, this.image,
      this.under, this.tie, this.below, make("table", { className: "facts values" }, this.facts));
  }

  show(row, mark) {
    const { columns } = this.model, of = (name) => columns[name]?.[row];
    this.title.textContent = `S/N ${plain(of("snr"), 4)} · DM ${plain(of("dm"))} · ${plain(1e3 * of("width"), 3)} ms`;
    const has = this.pictures.has(row);
    this.note.textContent = has ? "" : this.model.troubles[row] ?? "no picture of this candidate";
    for (const each of [this.curve, this.image, this.tie, this.under, this.below]) each.hidden = !has;
    if (has) this.draw(row);
    const rows = Object.keys(columns).map((name) => make("tr", {}, make("th", { scope: "row" }, name),
      make("td", {}, typeof of(name) === "number" ? plain(of(name), 12) : of(name) ?? "")));
    this.facts.replaceChildren(make("tr", {}, make("th", { scope: "row" }, "mark"), make("td", {}, mark)), ...rows);
  }

  draw(row) {
    const [, , half, low, high, dm] = this.model.ranges[row], ms = plain(1e3 * half, 3);
    this.pictures.drawProfile(this.curve, row);
    this.pictures.draw(this.image, row, 0);
    this.pictures.draw(this.tie, row, 1);
    const ends = (node, ...texts) => node.replaceChildren(...texts.map((text) => make("span", {}, text)));
    ends(this.under, `−${ms} ms`, `${plain(low, 5)} to ${plain(high, 5)} MHz`, `${ms} ms`);
    ends(this.below, `−${ms} ms`, `DM ${plain(this.model.columns.dm[row])} ± ${plain(dm, 3)}`, `${ms} ms`);
  }
}
