// The page of a cube: a map of some channels, and the spectrum of a pixel.

class Cube {
  constructor(model) {
    this.model = model;
    const [n, ny, nx] = model.shape;
    Object.assign(this, { n, nx, ny, range: [0, n], kind: "mean", beside: "mean", loaded: new Map() });
    this.colors = new Colors(model.maps);
    this.field = { nx, ny, endX: model.end[0], endY: model.end[1], values: null, weight: null };
    const { spectral } = model;
    this.axes = {};
    if (spectral.velocity) this.axes.velocity = listedAxis(spectral.velocity, `${spectral.name}, ${spectral.frame}`, "km/s");
    if (spectral.frequency) this.axes.frequency = listedAxis(spectral.frequency, "frequency", "MHz");
    if (spectral.channel) this.axes.channel = listedAxis(spectral.channel, "channel", "");
    this.first = spectral.first;
  }

  async start() {
    const raw = Uint8Array.from(atob(byId("sky").textContent), (sign) => sign.charCodeAt(0));
    this.sky = new Sky(this.model.sky, raw);
    await this.load(this.model.first);
    this.setRange(0, this.n);
    this.build();
    this.controls.renew(this.product.signed);
  }

  async load(index) {
    const product = this.model.products[index];
    if (!this.loaded.has(index)) {
      this.loaded.set(index, { values: await decodedValues(product),
        weight: await decodedWeights(product, this.model.most) });
    }
    Object.assign(this, { index, product }, this.loaded.get(index));
  }

  // The map of the channels chosen: weighted mean, mean times width, or the largest value.
  setRange(from, to) {
    this.range = [clamp(Math.floor(from), 0, this.n - 1), clamp(Math.ceil(to), 1, this.n)];
    if (this.range[1] <= this.range[0]) this.range[1] = this.range[0] + 1;
    const size = this.nx * this.ny, plane = new Float32Array(size), sums = new Float64Array(size);
    const most = new Float32Array(size).fill(-Infinity), totals = new Float64Array(size);
    for (let channel = this.range[0]; channel < this.range[1]; channel++) {
      for (let pixel = 0; pixel < size; pixel++) {
        const at = channel * size + pixel, value = this.values[at];
        if (Number.isNaN(value)) continue;
        const counts = this.weight(at);
        totals[pixel] += counts * value;
        sums[pixel] += counts;
        if (value > most[pixel]) most[pixel] = value;
      }
    }
    const times = this.kind === "moment" ? this.width() : 1;
    for (let pixel = 0; pixel < size; pixel++) {
      if (!(sums[pixel] > 0)) plane[pixel] = NaN;
      else plane[pixel] = this.kind === "peak" ? most[pixel] : (totals[pixel] / sums[pixel]) * times;
    }
    this.field.values = plane;
    this.field.weight = (pixel) => sums[pixel];
  }

  get single() {
    return this.range[1] - this.range[0] === 1;
  }

  // Of the channels chosen, in km/s.
  width() {
    const values = this.model.spectral.velocity, each = values.length > 1
      ? Math.abs(values[values.length - 1] - values[0]) / (values.length - 1) : 0;
    return each * (this.range[1] - this.range[0]);
  }

  get label() {
    const { name, unit: of } = this.product;
    if (this.single) return `${name} (${of})`;
    return { mean: `mean ${name} (${of})`, peak: `largest ${name} (${of})`,
      moment: `moment 0 of ${name} (${of} km/s)` }[this.kind];
  }

  build() {
    const { model } = this, kinds = [["mean", "mean"], ["peak", "largest"]];
    if ((model.spectral.velocity ?? []).length > 1) kinds.splice(1, 0, ["moment", "moment 0"]);
    this.controls = new ColorControls(this.colors, () => this.valuesShown(), () => this.repaint());
    const frame = make("div", { className: "cube" }), beside = make("div", { className: "beside" });
    const names = Object.keys(this.axes), products = model.products.map(({ name }, index) => [index, name]);
    this.besideChoice = choice("spectrum", [["mean", "mean of the map shown"], ["pixel", "of the pixel"]], this.beside,
      (text) => this.setBeside(text));
    byId("app").replaceChildren(make("div", { className: "tools" },
      ...(products.length > 1 ? [choice("product", products, this.index, (text) => this.choose(text)).node] : []),
      choice("map of", kinds, this.kind, (kind) => this.setKind(kind)).node, this.besideChoice.node,
      ...(names.length > 1 ? [choice("axis", names.map((name) => [name, name]), this.first, (name) => this.setAxis(name)).node] : []),
      ...this.controls.nodes, button("show all", () => this.map.reset(), "double click or Escape")),
    frame, this.hint(), make("p", { className: "caption" }, this.caption()));
    this.map = new MapPanel(frame, this.aria(), this.field, this.colors, {
      square: model.sky.aspect, changed: () => this.update(), picked: (cell) => cell && this.setBeside("pixel"),
      pointed: (cell) => this.showCell(cell), decorate: (pen, colors, panel) => this.frame(pen, colors, panel) });
    this.map.margin = { left: 96, right: 8, top: 24, bottom: 46 };
    this.map.cover.setAttribute("role", "application");
    frame.append(beside);
    this.line = new LinePanel(beside, "spectrum", "spectrum; drag to choose channels", {
      dragRange: (low, high) => this.chooseChannels(low, high), reset: () => this.chooseChannels(0, this.n),
      clickedCell: (cell) => this.chooseChannels(cell, cell + 1), pointed: (cell) => this.showCell(null, cell) });
    this.line.margin = { left: 70, right: 12, top: Object.keys(this.axes).length > 1 ? 66 : 24, bottom: 46 };
    this.line.titleTop = 16;
    this.line.axes = { cells: () => this.axes[this.first], values: () => `${this.product.name} (${this.product.unit})`,
      other: () => this.axes[names.find((name) => name !== this.first)] ?? null };
    beside.append(this.slider());
    const corner = make("div", { className: "corner" });
    beside.append(corner);
    this.bar = new ColorBar(corner, this.colors, () => this.label);
    this.reading = make("dl", { className: "reading" });
    this.live = make("p", { className: "unseen", "aria-live": "polite" });
    corner.append(this.reading, this.live);
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.map.reset());
    followTheme([this.map, this.line, this.bar]);
    this.update();
  }

  slider() {
    this.channel = make("input", { type: "range", min: 0, max: this.n - 1, step: 1, value: 0, "aria-label": "channel" });
    this.channel.addEventListener("input", () => this.chooseChannels(this.channel.valueAsNumber, this.channel.valueAsNumber + 1));
    this.player = button("play", () => this.play(), "channel after channel");
    return make("div", { className: "slider" }, "channel", this.channel, this.player,
      button("all channels", () => this.chooseChannels(0, this.n)));
  }

  play() {
    const stop = this.timer !== undefined;
    clearInterval(this.timer);
    this.timer = stop ? undefined : setInterval(() => this.step(), 150);
    this.player.textContent = stop ? "play" : "stop";
  }

  step() {
    const next = this.single ? (this.range[0] + 1) % this.n : 0;
    this.chooseChannels(next, next + 1);
  }

  // Colours keep their limits from channel to channel, so that these can be compared.
  chooseChannels(low, high) {
    const before = this.single;
    this.setRange(low, high);
    if (this.single) this.channel.value = this.range[0];
    if (!(before && this.single)) this.controls.fit();
    this.map.schedule("base");
    this.update();
  }

  async choose(text) {
    await this.load(Number(text));
    this.setRange(...this.range);
    this.controls.renew(this.product.signed);
    this.update();
  }

  setKind(kind) {
    this.kind = kind;
    this.setRange(...this.range);
    this.controls.fit();
    this.update();
  }

  setBeside(beside) {
    this.beside = this.besideChoice.select.value = beside;
    if (beside === "pixel" && !this.map.cross) this.map.setCross({ i: this.nx >> 1, j: this.ny >> 1 });
    else this.update();
  }

  setAxis(name) {
    this.first = name;
    this.update();
  }

  // All voxels where a single channel is shown, else the part of the map that is.
  valuesShown() {
    if (this.single) return this.values;
    const { x0, x1, y0, y1 } = this.map.view, found = [];
    for (let j = Math.floor(y0); j < Math.min(this.ny, y1); j++) {
      for (let i = Math.floor(x0); i < Math.min(this.nx, x1); i++) found.push(this.field.values[j * this.nx + i]);
    }
    return found;
  }

  spectrum() {
    const size = this.nx * this.ny, { cross, view } = this.map;
    if (this.beside === "pixel" && cross) {
      const pixel = cross.j * this.nx + cross.i;
      return Float64Array.from({ length: this.n }, (_, channel) => this.values[channel * size + pixel]);
    }
    return Float64Array.from({ length: this.n }, (_, channel) => {
      let total = 0, sum = 0;
      for (let j = Math.floor(view.y0); j < Math.min(this.ny, view.y1); j++) {
        for (let i = Math.floor(view.x0); i < Math.min(this.nx, view.x1); i++) {
          const at = channel * size + j * this.nx + i, value = this.values[at];
          if (Number.isNaN(value)) continue;
          total += this.weight(at) * value;
          sum += this.weight(at);
        }
      }
      return total / sum;
    });
  }

  position(cell) {
    const [x, y] = [cell.i + 0.5, cell.j + 0.5];
    return [0, 1].map((which) => this.sky.text(which, this.sky.at(which, x, y)));
  }

  update() {
    const { cross } = this.map, pixel = this.beside === "pixel" && cross;
    this.shown = this.spectrum();
    this.line.show({ lines: [{ values: this.shown }], range: [0, this.n],
      shade: this.range[1] - this.range[0] < this.n ? this.range : null,
      title: pixel ? `pixel ${cross.i}, ${cross.j}: ${this.position(cross).join(" ")}` : "mean of the map shown" });
    this.showCell(null);
  }

  repaint() {
    this.map.schedule("base");
    this.bar.redraw();
  }

  rangeText() {
    const axis = this.axes[this.first], [from, to] = this.range;
    if (this.single) return `channel ${from}, ${axis.text(from + 0.5)}`;
    return `channels ${from} to ${to - 1}, ${axis.text(from)} to ${axis.text(to)}`;
  }

  frame(pen, colors, panel) {
    const box = panel.box;
    this.sky.draw(pen, colors, panel);
    drawFrame(pen, colors, box);
    if (this.model.beam) this.drawBeam(pen, colors, panel);
    pen.fillStyle = colors.ink;
    textAt(pen, this.rangeText(), box.left, box.top - 6, "left", "bottom");
  }

  drawBeam(pen, colors, panel) {
    const [x, y] = this.model.beam, box = panel.box, view = panel.shown();
    const scale = [box.width / (view.x1 - view.x0), box.height / (view.y1 - view.y0)];
    const middle = [box.left + 10 + Math.max(...x) * scale[0], box.top + box.height - 10 - Math.max(...y) * scale[1]];
    pen.beginPath();
    x.forEach((value, k) => pen.lineTo(middle[0] + value * scale[0], middle[1] - y[k] * scale[1]));
    pen.fillStyle = "rgba(255,255,255,.75)";
    pen.fill();
    pen.strokeStyle = "#000";
    pen.stroke();
  }

  hint() {
    return make("p", { className: "hint" }, "Map: drag to zoom, wheel about the pointer, shift and drag to move, click "
      + "for the spectrum of a pixel, double click or Escape for all; keys: arrows, shift and arrows, + and −. Spectrum: "
      + "drag for the channels that the map shows, click for one, double click for all. Moment 0 is the mean times the "
      + "width of these channels.");
  }

  aria() {
    return `Map of ${this.product.name}: ${this.model.description}. Drag to zoom, click for a spectrum; arrow keys move the `
      + "cross-hair, plus and minus zoom, Escape shows all.";
  }

  caption() {
    return `${this.model.description}. Hatched: nothing seen. White ellipse: the beam at half power. ${keptTo(this.model.products)}.`;
  }

  // Read-out of the pixel below the pointer, or of a channel of the spectrum.
  showCell(cell, channel = null) {
    const axis = this.axes, at = cell ?? this.map.cross, pairs = [];
    if (channel !== null && channel < this.n) {
      pairs.push(["spectrum", `${shortNumber(this.shown[channel], 6)} ${this.product.unit}`], ["channel", String(channel)],
        ...Object.keys(axis).filter((name) => name !== "channel").map((name) => [name, axis[name].text(channel + 0.5)]));
    } else if (at) {
      const pixel = at.j * this.nx + at.i, value = this.field.values[pixel];
      const [lon, lat] = this.position(at), weight = this.field.weight(pixel) / (this.range[1] - this.range[0]);
      pairs.push([this.label, Number.isNaN(value) ? "nothing seen" : shortNumber(value, 6)],
        ["weight", `${shortNumber(weight, 3)} ${this.model.weight_unit}`],
        [this.sky.names[0], lon], [this.sky.names[1], lat], [cell ? "pixel" : "cross-hair", `${at.i}, ${at.j}`]);
      if (!cell) this.live.textContent = pairs.map((pair) => pair.join(" ")).join(", ");
    } else pairs.push(["point at", "a pixel or a channel to read it"]);
    facts(this.reading, pairs);
  }

  state() {
    const { view, cross } = this.map;
    return {
      kind: "cube", product: this.product.name, map: this.kind, range: [...this.range], axis: this.first,
      view: { ...view }, shown: this.map.shown(), cross: cross && { ...cross },
      boxes: { map: this.map.box, spectrum: this.line.box },
      beside: this.beside, spectrum: [...this.shown], plane: [...this.field.values],
      position: cross && [0, 1].map((which) => this.sky.at(which, cross.i + 0.5, cross.j + 0.5)),
      limits: [this.colors.low, this.colors.high],
    };
  }
}
