// The page of a waterfall: time upward, frequency to the right, cuts or means beside it.

class Waterfall {
  constructor(model) {
    this.model = model;
    this.loaded = new Map();
    this.mode = "means";
    const [factor, name] = [timeFactor(model.y.end * model.y.step)].map(([text, times]) => [times, text])[0];
    this.x = evenAxis(model.x);
    this.y = evenAxis(model.y, factor, name);
    this.clock = clockAxis(model.y);
    this.velocity = model.x.rest ? velocityAxis(model.x) : null;
    this.colors = new Colors(model.maps);
    const [ny, nx] = model.shape;
    this.field = { nx, ny, endX: model.x.end, endY: model.y.end, values: null, weight: null };
  }

  async start() {
    await this.load(this.model.first);
    this.build();
    this.controls.renew(this.product.signed && !this.ofWeights);
  }

  // Products are unpacked when they are first asked for.
  async load(index) {
    if (!this.loaded.has(index)) {
      const product = this.model.products[index];
      this.loaded.set(index, { values: await decodedValues(product),
        weight: await decodedWeights(product, this.model.most) });
    }
    this.index = index;
    this.ofWeights = false;
    Object.assign(this.field, this.loaded.get(index));
  }

  // Weights as a picture of their own; those that are 0 are drawn as everywhere.
  async loadWeights() {
    await this.load(this.index);
    const { weight } = this.field, values = new Float32Array(this.field.nx * this.field.ny);
    for (let cell = 0; cell < values.length; cell++) values[cell] = weight(cell) || NaN;
    this.field.values = values;
    this.field.weight = (cell) => (values[cell] > 0 ? 1 : 0);
    this.ofWeights = true;
  }

  get product() {
    return this.model.products[this.index];
  }

  get label() {
    return this.ofWeights ? `weight of ${this.product.name}` : `${this.product.name} (${this.product.unit})`;
  }

  async choose(text) {
    if (text === "weight") await this.loadWeights();
    else await this.load(Number(text));
    this.controls.renew(this.product.signed && !this.ofWeights);
    this.update();
  }

  build() {
    const options = this.model.products.map((product, index) => [index, product.name]);
    const product = choice("product", [...options, ["weight", "weight"]], this.index, (text) => this.choose(text));
    this.controls = new ColorControls(this.colors, () => this.visible(), () => this.repaint());
    this.modeChoice = choice("beside", [["means", "means of what is shown"], ["cuts", "cuts at the cross-hair"]],
      this.mode, (mode) => this.setMode(mode));
    const frame = make("div", { className: "waterfall" });
    byId("app").replaceChildren(
      make("div", { className: "tools" }, product.node, this.modeChoice.node, ...this.controls.nodes,
        button("show all", () => this.reset(), "double click or Escape")),
      frame, this.hint(), make("p", { className: "caption" }, this.caption()));
    this.map = new MapPanel(frame, this.aria(), this.field, this.colors, {
      changed: () => this.update(), picked: (cell) => cell && this.setMode("cuts"),
      pointed: (cell) => this.showCell(cell), decorate: (pen, colors, panel) => this.frame(pen, colors, panel) });
    this.map.margin = { left: 84, right: 10, top: this.velocity ? 46 : 22, bottom: 8 };
    this.map.cover.setAttribute("role", "application");
    this.side = this.linePanel(frame, "side", true);
    this.below = this.linePanel(frame, "below", false);
    const corner = make("div", { className: "corner" });
    frame.append(corner);
    this.bar = new ColorBar(corner, this.colors, () => this.label);
    this.reading = make("dl", { className: "reading" });
    this.live = make("p", { className: "unseen", "aria-live": "polite" });
    corner.append(this.reading, this.live);
    document.addEventListener("keydown", (event) => this.key(event));
    followTheme([this.map, this.side, this.below, this.bar]);
    this.update();
  }

  linePanel(host, className, upright) {
    const panel = new LinePanel(host, className, upright ? "values over time" : "values over frequency", {
      upright, reset: () => this.reset(),
      dragRange: (low, high) => this.map.setView({ ...this.map.view,
        ...(upright ? { y0: low, y1: high } : { x0: low, x1: high }) }),
      pointed: (cell) => this.showCell(cell === null || !this.map.cross ? null
        : { ...this.map.cross, [upright ? "j" : "i"]: cell }),
      clickedCell: (cell) => this.map.setCross({ ...(this.map.cross ?? this.middle()), [upright ? "j" : "i"]: cell }),
    });
    panel.margin = upright ? { left: 10, right: 104, top: this.map.margin.top, bottom: 46 } // below its cell
      : { left: 84, right: 10, top: 20, bottom: 46 };
    panel.axes = { cells: () => (upright ? this.y : this.x), other: () => (upright ? this.clock : null),
      values: () => this.label };
    return panel;
  }

  middle() {
    const { x0, x1, y0, y1 } = this.map.view;
    return { i: Math.floor((x0 + x1) / 2), j: Math.floor((y0 + y1) / 2) };
  }

  aria() {
    return `Waterfall of ${this.product.name}: ${this.model.description}. Drag to zoom, click for cuts; `
      + "arrow keys move the cross-hair, plus and minus zoom, Escape shows all.";
  }

  hint() {
    return make("p", { className: "hint" }, "Drag: zoom. Wheel: zoom about the pointer. Shift and drag: move. "
      + "Click: cross-hair and cuts. Double click or Escape: all. Keys: arrows, shift and arrows, + and −, "
      + "C for cuts or means.");
  }

  caption() {
    const half = this.model.x.half ?? null;
    return `${this.model.description}. Hatched: weight 0, nothing valid. ${keptTo(this.model.products)}`
      + `${half === null ? "" : `. Channel ${half} holds half a channel's band and is left out of the means`}.`;
  }

  key(event) {
    if (["INPUT", "SELECT"].includes(document.activeElement?.tagName)) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") this.reset();
    else if (event.key.toLowerCase() === "c") this.setMode(this.mode === "cuts" ? "means" : "cuts");
  }

  reset() {
    this.map.reset();
  }

  setMode(mode) {
    this.mode = this.modeChoice.select.value = mode;
    if (mode === "cuts" && !this.map.cross) this.map.cross = this.middle();
    this.map.schedule("cover");
    this.update();
  }

  frame(pen, colors, panel) {
    const box = panel.box, { x0, x1, y0, y1 } = panel.shown();
    drawAxis(pen, colors, box, this.x, [x0, x1], "bottom", { texts: false, title: false });
    drawAxis(pen, colors, box, this.y, [y0, y1], "left");
    if (this.velocity) drawAxis(pen, colors, box, this.velocity, [x0, x1], "top");
    drawFrame(pen, colors, box);
  }

  // Cells that are shown: first and past the last of both axes.
  cells() {
    const { x0, x1, y0, y1 } = this.map.view, { nx, ny } = this.field;
    return [Math.max(0, Math.floor(x0)), Math.min(nx, Math.ceil(x1)),
      Math.max(0, Math.floor(y0)), Math.min(ny, Math.ceil(y1))];
  }

  visible() {
    const [i0, i1, j0, j1] = this.cells(), found = new Float32Array((i1 - i0) * (j1 - j0));
    for (let j = j0; j < j1; j++) {
      found.set(this.field.values.subarray(j * this.field.nx + i0, j * this.field.nx + i1), (j - j0) * (i1 - i0));
    }
    return found;
  }

  cuts({ i, j }) {
    const { nx, ny, values } = this.field;
    return { x: values.slice(j * nx, (j + 1) * nx), y: Float32Array.from({ length: ny }, (_, row) => values[row * nx + i]) };
  }

  // Weighted means of what is shown, over time and over frequency.
  means() {
    const { nx, ny, values, weight } = this.field, [i0, i1, j0, j1] = this.cells();
    const half = this.model.x.half ?? -1;
    const sums = { x: new Float64Array(nx), y: new Float64Array(ny) };
    const weights = { x: new Float64Array(nx), y: new Float64Array(ny) };
    for (let j = j0; j < j1; j++) {
      for (let i = i0; i < i1; i++) {
        const cell = j * nx + i, value = values[cell], counts = weight(cell);
        if (Number.isNaN(value) || i === half) continue;
        sums.x[i] += counts * value;
        weights.x[i] += counts;
        sums.y[j] += counts * value;
        weights.y[j] += counts;
      }
    }
    return { x: sums.x.map((sum, k) => sum / weights.x[k]), y: sums.y.map((sum, k) => sum / weights.y[k]) };
  }

  update() {
    const { x0, x1, y0, y1 } = this.map.view, { cross } = this.map;
    const cut = this.mode === "cuts" && cross;
    this.lines = cut ? this.cuts(cross) : this.means();
    this.below.show({ lines: [{ values: this.lines.x }], range: [x0, x1], marks: cut ? [cross.i] : [],
      title: cut ? `at ${this.y.text(this.centre(cross.j, this.y))}, ${this.clock.text(cross.j + 0.5)} UTC`
        : "mean over the time shown" });
    this.side.show({ lines: [{ values: this.lines.y }], range: [y0, y1], marks: cut ? [cross.j] : [],
      title: cut ? `at ${this.x.text(this.centre(cross.i, this.x))}` : "mean over the band shown" });
    const texts = this.clock.ticks(y0, y1, this.side.box.height / 55).map(({ text }) => text.length);
    this.side.margin.right = 52 + 6.6 * Math.max(0, ...texts);
    this.showCell(null);
  }

  repaint() {
    this.map.schedule("base");
    this.bar.redraw();
    this.side.redraw();
    this.below.redraw();
  }

  // The middle of a cell; the last one may be shorter.
  centre(cell, axis) {
    return (cell + Math.min(cell + 1, axis.end)) / 2;
  }

  // Read-out of the pixel below the pointer, else of the cross-hair.
  showCell(cell) {
    const at = cell ?? this.map.cross;
    if (!at) return facts(this.reading, [["point at", "a pixel to read it"]]);
    const number = at.j * this.field.nx + at.i, value = this.field.values[number];
    const valid = !Number.isNaN(value), x = this.centre(at.i, this.x), y = this.centre(at.j, this.y);
    const pairs = [
      [this.ofWeights ? "weight" : this.product.name, valid ? `${shortNumber(value, 6)} ${this.ofWeights ? "" : this.product.unit}` : "nothing valid"],
      ["weight", shortNumber(this.loaded.get(this.index).weight(number), 3)],
      [this.y.name, this.y.text(y)], ["UTC", this.clock.text(y)], [this.x.name, this.x.text(x)]];
    if (this.velocity) pairs.push(["velocity", this.velocity.text(x)]);
    facts(this.reading, [...(this.ofWeights ? pairs.slice(1) : pairs),
      [cell ? "pixel" : "cross-hair", `${at.i}, ${at.j}`]]);
    if (!cell) this.live.textContent = pairs.map((pair) => pair.join(" ")).join(", ");
  }

  state() {
    const { view, cross } = this.map;
    return {
      kind: "waterfall", product: this.ofWeights ? "weight" : this.product.name, mode: this.mode,
      view: { ...view }, cross: cross && { ...cross },
      boxes: { map: this.map.box, side: this.side.box, below: this.below.box },
      xlim: [this.x.at(view.x0), this.x.at(view.x1)], ylim: [this.y.at(view.y0), this.y.at(view.y1)],
      limits: [this.colors.low, this.colors.high], lines: { x: [...this.lines.x], y: [...this.lines.y] },
    };
  }
}
