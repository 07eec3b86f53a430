// What both pages have: controls of the colours, their bar, and what repaints when the theme changes.

class ColorControls {
  constructor(colors, values, changed) {
    Object.assign(this, { colors, values, changed });
    const limit = (label) => make("input", { type: "number", step: "any", "aria-label": label });
    this.fields = [limit("lower limit of the colours"), limit("upper limit of the colours")];
    for (const field of this.fields) field.addEventListener("change", () => this.typed());
    this.map = choice("colours", Object.keys(colors.maps).map((name) => [name, name]), colors.map,
      (name) => this.set({ map: name }));
    this.stretch = choice("scale", Object.keys(STRETCHES).map((name) => [name, name]), colors.stretch,
      (name) => this.set({ stretch: name }));
    this.percent = choice("limits", [[100, "all"], [99.5, "99.5 %"], [99, "99 %"], [95, "95 %"], [90, "90 %"]], 99,
      () => this.fit());
    this.nodes = [this.map.node, this.stretch.node, this.percent.node,
      make("label", {}, "from ", this.fields[0]), make("label", {}, "to ", this.fields[1]),
      button("limits of what is shown", () => this.fit(), "percentiles of the part that is shown")];
  }

  // Maps and limits that suit other values.
  renew(signed) {
    this.colors.signed = signed;
    this.colors.map = signed ? "RdBu_r" : this.colors.map === "RdBu_r" ? "viridis" : this.colors.map;
    this.map.select.value = this.colors.map;
    this.fit();
  }

  fit() {
    const limits = percentileLimits(this.values(), Number(this.percent.select.value), this.colors.signed);
    this.limit(...limits);
  }

  limit(low, high) {
    if (!this.colors.setLimits(low, high)) {
      // No logarithm of values that are not positive.
      this.colors.stretch = this.stretch.select.value = "linear";
      this.colors.setLimits(low, high);
    }
    this.write();
    this.changed();
  }

  typed() {
    const [low, high] = this.fields.map((field) => field.valueAsNumber);
    const taken = this.colors.setLimits(low, high);
    this.fields.forEach((field) => field.setCustomValidity(taken ? "" : "the lower limit lies below the upper"));
    if (!taken) return;
    this.write();
    this.changed();
  }

  set(change) {
    Object.assign(this.colors, change);
    this.limit(this.colors.low, this.colors.high);
  }

  write() {
    this.fields[0].value = Number(this.colors.low.toPrecision(5));
    this.fields[1].value = Number(this.colors.high.toPrecision(5));
  }
}

class ColorBar extends Panel {
  constructor(host, colors, title) {
    super(host, "bar", "colour bar");
    this.cover.tabIndex = -1;
    this.margin = { left: 14, right: 22, top: 8, bottom: 44 };
    Object.assign(this, { colors, title });
  }

  paint(pen, colors) {
    const box = this.box, table = this.colors.table(), share = this.colors.share();
    const { low, high } = this.colors;
    for (let x = 0; x < box.width; x++) {
      const word = table[Math.round(255 * unit(share(low + ((x + 0.5) / box.width) * (high - low))))];
      pen.fillStyle = `rgb(${word & 255},${(word >> 8) & 255},${(word >> 16) & 255})`;
      pen.fillRect(box.left + x, box.top, 1.5, box.height);
    }
    drawFrame(pen, colors, box);
    const axis = { title: this.title(), ticks: (from, to) => valueTicks(from, to, box.width / 60)
      .map(({ value, text }) => ({ cell: value, text })) };
    drawAxis(pen, colors, box, axis, [low, high], "bottom");
  }
}

function followTheme(panels) {
  const redraw = () => panels.forEach((panel) => panel.redraw());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  // Paper is white: what is drawn follows before it is printed, and comes back.
  const print = (on) => () => {
    document.documentElement.classList.toggle("printed", on);
    panels.forEach((panel) => {
      panel.redraw();
      panel.flush();
    });
  };
  addEventListener("beforeprint", print(true));
  addEventListener("afterprint", print(false));
}

// Half a step of the codes, near the median of a product's values and far from it.
function keptTo(products) {
  const near = products.map(({ name, spread, step }) => `${name} ${shortNumber((step * spread) / 2, 2)}`);
  const far = Math.max(...products.map(({ step }) => step * 50));
  return `Values in this page are off by at most ${near.join(", ")} (${products[0].unit}) near the median, and by `
    + `${shortNumber(far, 2)} % of the distance from it elsewhere`;
}

function facts(list, pairs) {
  list.replaceChildren(...pairs.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}
