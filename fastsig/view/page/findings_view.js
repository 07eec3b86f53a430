// Pictures and facts of findings: small ones in the rows, large ones of the finding that is chosen.

class Pictures {
  constructor(model, bytes) {
    Object.assign(this, { model, bytes, size: model.shape[0] * model.shape[1] });
    // How many images, or curves, come before each panel.
    this.place = model.panels.map(({ kind }, k) => model.panels.slice(0, k).filter((each) => each.kind === kind).length);
    this.count = Object.fromEntries(["image", "curve"].map((kind) => [kind,
      model.panels.filter((each) => each.kind === kind).length]));
    this.palette = Array.from({ length: 16 }, (_, level) => {
      const at = 6 * Math.round((255 * Math.max(0, level - 1)) / 14);
      return [0, 2, 4].map((byte) => parseInt(model.map.substr(at + byte, 2), 16));
    });
  }

  has(row) {
    return row < this.model.pictures && !(String(row) in this.model.troubles);
  }

  // Draws a panel of a row; images have two pixels in a byte, the lowest row first.
  draw(canvas, row, panel) {
    if (this.model.panels[panel].kind === "curve") this.drawCurve(canvas, row, panel);
    else this.drawImage(canvas, row, panel);
  }

  drawImage(canvas, row, panel) {
    const [height, width] = this.model.shape;
    Object.assign(canvas, { width, height });
    if (!this.has(row)) return;
    const context = canvas.getContext("2d"), image = context.createImageData(width, height);
    const first = (this.count.image * row + this.place[panel]) * this.size;
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const at = first + y * width + x, byte = this.bytes[at >> 1];
        const level = at & 1 ? byte & 15 : byte >> 4;
        image.data.set([...this.palette[level], level ? 255 : 0], 4 * ((height - 1 - y) * width + x));
      }
    }
    context.putImageData(image, 0, 0);
  }

  curve(row, panel) {
    const [low, high] = this.model.limits[row][this.place[panel]], width = this.model.shape[1];
    const images = (this.count.image * this.size * this.model.pictures) / 2;
    const first = images + (this.count.curve * row + this.place[panel]) * width;
    return Array.from(this.bytes.subarray(first, first + width), (code) => low + (code / 255) * (high - low));
  }

  drawCurve(canvas, row, panel) {
    Object.assign(canvas, { width: 800, height: 2 * this.model.panels[panel].height });
    if (!this.has(row)) return;
    const values = this.curve(row, panel), context = canvas.getContext("2d");
    const low = Math.min(0, ...values), high = Math.max(1, ...values), bottom = canvas.height - 8;
    const style = getComputedStyle(document.documentElement);
    const up = (value) => bottom - ((bottom - 8) * (value - low)) / (high - low);
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

const isText = ({ form }) => form === "text" || form === "time";

// A value as a column or a part of a title has it.
function written(value, { form, digits, factor }) {
  if (value === null || value === undefined) return "";
  if (form === "time") return value.slice(0, 23).replace("T", " ");
  if (form === "number") return value < 0 ? "" : String(value);
  if (form === "fixed") return (factor * value).toFixed(digits);
  return form === "text" ? value : plain(factor * value, digits);
}

// The finding that is chosen: pictures with their axes, and every value of its row.
class Chosen {
  constructor(model, pictures) {
    Object.assign(this, { model, pictures });
    this.title = make("h2", {});
    this.note = make("p", { className: "hint" });
    this.canvases = model.panels.map(({ text, kind, height }) => {
      const canvas = make("canvas", { className: kind, role: "img", ariaLabel: text, title: text });
      canvas.style.height = `${height}px`;
      return canvas;
    });
    this.labels = model.panels.map(() => make("p", { className: "label" }));
    this.facts = make("tbody", {});
    const panels = this.canvases.flatMap((canvas, k) => [canvas, this.labels[k]]);
    this.node = make("section", { className: "one" }, this.title, this.note, ...panels,
      make("table", { className: "facts values" }, this.facts));
  }

  show(row, mark) {
    const { columns } = this.model, of = (name) => columns[name][row];
    this.title.textContent = this.model.title.map((part) => `${part.text}${written(of(part.name), part)}${part.unit}`).join(" · ");
    const has = this.pictures.has(row);
    this.note.textContent = has ? "" : this.model.troubles[row] ?? `no picture of this ${this.model.row_is}`;
    for (const each of [...this.canvases, ...this.labels]) each.hidden = !has;
    if (has) this.draw(row);
    const rows = Object.keys(columns).map((name) => make("tr", {}, make("th", { scope: "row" }, name),
      make("td", {}, typeof of(name) === "number" ? plain(of(name), 12) : of(name) ?? "")));
    this.facts.replaceChildren(make("tr", {}, make("th", { scope: "row" }, "mark"), make("td", {}, mark)), ...rows);
  }

  draw(row) {
    this.canvases.forEach((canvas, k) => {
      this.pictures.draw(canvas, row, k);
      const texts = this.model.captions[row][k];
      this.labels[k].hidden = !texts.length;
      this.labels[k].replaceChildren(...texts.map((text) => make("span", {}, text)));
    });
  }
}
