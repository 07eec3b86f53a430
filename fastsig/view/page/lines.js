// Lines beside the picture: along an axis of cells, level or upright, with gaps where nothing is valid.

class LinePanel extends Panel {
  // upright: cells run upward and values to the right; axes: {cells, other, values}.
  constructor(host, className, label, { upright = false, dragRange, pointed = () => {}, clickedCell, reset }) {
    super(host, className, label);
    Object.assign(this, { upright, dragRange, pointed, clickedCell });
    if (reset) this.reset = reset;
    this.range = [0, 1];
    this.lines = [];
    this.marks = [];
    this.shade = null;
    this.band = null;
    this.title = "";
  }

  show({ lines, range, marks = [], shade = null, title }) {
    Object.assign(this, { lines, range, marks, shade, title });
    this.limits = this.valueLimits();
    this.redraw();
  }

  valueLimits() {
    let low = Infinity, high = -Infinity;
    for (const { values } of this.lines) {
      const from = Math.max(0, Math.floor(this.range[0])), to = Math.min(values.length, Math.ceil(this.range[1]));
      for (let k = from; k < to; k++) {
        if (values[k] < low) low = values[k];
        if (values[k] > high) high = values[k];
      }
    }
    if (!(high >= low)) return [0, 1];
    const room = (high - low) * 0.06 || Math.abs(high) * 0.01 || 1;
    return [low - room, high + room];
  }

  along(cell) {
    const box = this.box, share = (cell - this.range[0]) / (this.range[1] - this.range[0]);
    return this.upright ? box.top + box.height * (1 - share) : box.left + box.width * share;
  }

  across(value) {
    const box = this.box, share = (value - this.limits[0]) / (this.limits[1] - this.limits[0]);
    return this.upright ? box.left + box.width * share : box.top + box.height * (1 - share);
  }

  cellOf({ x, y }) {
    const box = this.box;
    const share = this.upright ? (box.top + box.height - y) / box.height : (x - box.left) / box.width;
    return this.range[0] + clamp(share, 0, 1) * (this.range[1] - this.range[0]);
  }

  dragging(from, now) {
    this.band = from && [this.cellOf(from), this.cellOf(now)];
    this.schedule("cover");
  }

  dragged(from, now) {
    this.band = null;
    const [low, high] = [this.cellOf(from), this.cellOf(now)].sort((a, b) => a - b);
    this.schedule("cover");
    if (high > low) this.dragRange(low, high);
  }

  clicked(place) {
    this.clickedCell?.(Math.floor(this.cellOf(place)));
  }

  hovered(place) {
    this.pointed(place && Math.floor(this.cellOf(place)));
  }

  paint(pen, colors) {
    const box = this.box, { cells, other, values } = this.axes;
    const sides = this.upright ? ["left", "right", "bottom"] : ["bottom", "top", "left"];
    if (this.shade) this.fillRange(pen, this.shade, colors.line);
    const count = this.upright ? box.width / 60 : box.height / 32;
    const ticks = { title: values(), ticks: (low, high) => valueTicks(low, high, count)
      .map(({ value, text }) => ({ cell: value, text })) };
    drawAxis(pen, colors, box, ticks, this.limits, sides[2], { grid: true });
    drawAxis(pen, colors, box, cells(), this.range, sides[0], {
      grid: true, texts: !this.upright, title: !this.upright });
    if (other()) drawAxis(pen, colors, box, other(), this.range, sides[1]);
    pen.save();
    pen.beginPath();
    pen.rect(box.left, box.top, box.width, box.height);
    pen.clip();
    for (const mark of this.marks) {
      pen.strokeStyle = colors.mark;
      pen.lineWidth = 1;
      const at = this.along(mark + 0.5);
      stroke(pen, this.upright ? [box.left, at, box.left + box.width, at] : [at, box.top, at, box.top + box.height]);
    }
    this.lines.forEach(({ values: line }, number) => this.trace(pen, line, number ? colors.second : colors.faint));
    pen.restore();
    drawFrame(pen, colors, box);
    pen.fillStyle = colors.ink;
    textAt(pen, this.title, box.left, this.titleTop ?? box.top - 5, "left", "bottom");
  }

  // Where there are more cells than pixels, from the least to the most of each pixel.
  trace(pen, values, color) {
    const from = Math.max(0, Math.floor(this.range[0])), to = Math.min(values.length, Math.ceil(this.range[1]));
    const length = this.upright ? this.box.height : this.box.width;
    const each = Math.max(1, Math.floor((to - from) / (2 * length)));
    pen.strokeStyle = color;
    pen.fillStyle = color;
    pen.lineWidth = 1.2;
    pen.lineJoin = "round";
    pen.beginPath();
    let open = false;
    for (let k = from; k < to; k += each) {
      let low = Infinity, high = -Infinity;
      for (let m = k; m < Math.min(to, k + each); m++) {
        if (values[m] < low) low = values[m];
        if (values[m] > high) high = values[m];
      }
      if (low > high) {
        open = false;
        continue;
      }
      const at = this.along(k + each / 2), lone = !open && !(k + each < to && values[k + each] === values[k + each]);
      for (const value of each === 1 ? [low] : [low, high]) {
        const point = this.upright ? [this.across(value), at] : [at, this.across(value)];
        if (open) pen.lineTo(...point);
        else pen.moveTo(...point);
        open = true;
        if (lone) pen.fillRect(point[0] - 1.5, point[1] - 1.5, 3, 3);
      }
    }
    pen.stroke();
  }

  fillRange(pen, [low, high], color) {
    const box = this.box, [a, b] = [this.along(low), this.along(high)].map((at) => this.upright
      ? clamp(at, box.top, box.top + box.height) : clamp(at, box.left, box.left + box.width));
    pen.fillStyle = color;
    if (this.upright) pen.fillRect(box.left, Math.min(a, b), box.width, Math.abs(b - a));
    else pen.fillRect(Math.min(a, b), box.top, Math.abs(b - a), box.height);
  }

  paintCover(pen) {
    if (this.band) this.fillRange(pen, this.band, "rgba(128,128,160,.35)");
  }
}
