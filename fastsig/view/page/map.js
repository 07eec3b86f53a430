// The picture of cells: zoom by dragging and wheel, pan with shift, cross-hair by a click or the keys.

class MapPanel extends Panel {
  // field: {nx, ny, endX, endY, values, weight(cell)}; square: cells keep their shape.
  constructor(host, label, field, colors, { square = false, changed, picked, pointed, decorate }) {
    super(host, "map", label);
    Object.assign(this, { field, colors, square, changed, picked, pointed, decorate });
    this.cross = null;
    this.band = null;
    this.view = this.whole();
  }

  whole() {
    return { x0: 0, x1: this.field.endX, y0: 0, y1: this.field.endY };
  }

  // The part that is drawn: `view`, widened where cells keep their shape.
  shown() {
    const { x0, x1, y0, y1 } = this.view, box = this.box;
    if (!this.square) return this.view;
    const scale = Math.min(box.width / (x1 - x0), (box.height / (y1 - y0)) / this.square);
    const [halfX, halfY] = [box.width / scale / 2, box.height / (scale * this.square) / 2];
    const [x, y] = [(x0 + x1) / 2, (y0 + y1) / 2];
    return { x0: x - halfX, x1: x + halfX, y0: y - halfY, y1: y + halfY };
  }

  toPixel(cellX, cellY) {
    const box = this.box, view = this.shown();
    return { x: box.left + ((cellX - view.x0) / (view.x1 - view.x0)) * box.width,
      y: box.top + box.height - ((cellY - view.y0) / (view.y1 - view.y0)) * box.height };
  }

  toCell({ x, y }) {
    const box = this.box, view = this.shown();
    return { x: view.x0 + ((x - box.left) / box.width) * (view.x1 - view.x0),
      y: view.y0 + ((box.top + box.height - y) / box.height) * (view.y1 - view.y0) };
  }

  // The cell below a pixel, or null outside of the data.
  cellAt(place) {
    const { x, y } = this.toCell(place), view = this.shown(), { endX, endY, nx, ny } = this.field;
    const inside = x >= Math.max(0, view.x0) && x < Math.min(endX, view.x1)
      && y >= Math.max(0, view.y0) && y < Math.min(endY, view.y1);
    return inside ? { i: Math.min(nx - 1, Math.floor(x)), j: Math.min(ny - 1, Math.floor(y)) } : null;
  }

  setView({ x0, x1, y0, y1 }) {
    const { endX, endY } = this.field;
    const [left, right] = within(x0, x1, endX), [bottom, top] = within(y0, y1, endY);
    this.view = { x0: left, x1: right, y0: bottom, y1: top };
    this.redraw();
    this.changed();
  }

  setCross(cell) {
    this.cross = cell;
    this.schedule("cover");
    this.picked(cell);
  }

  clicked(place) {
    const cell = this.cellAt(place);
    if (cell) this.setCross(cell);
  }

  dragging(from, now) {
    this.band = from && [from, now];
    this.schedule("cover");
  }

  dragged(from, now) {
    this.band = null;
    const a = this.toCell(from), b = this.toCell(now);
    const flat = [Math.abs(now.x - from.x), Math.abs(now.y - from.y)].map((length) => length < CLICK_PX);
    const view = this.view; // a drag along one axis zooms this axis alone
    this.setView({
      x0: flat[0] ? view.x0 : Math.min(a.x, b.x), x1: flat[0] ? view.x1 : Math.max(a.x, b.x),
      y0: flat[1] ? view.y0 : Math.min(a.y, b.y), y1: flat[1] ? view.y1 : Math.max(a.y, b.y),
    });
  }

  panned(from, now) {
    const a = this.toCell(from), b = this.toCell(now);
    this.move(a.x - b.x, a.y - b.y);
  }

  // By so many cells, at most to the edge of the data.
  move(x, y) {
    const view = this.view, { endX, endY } = this.field;
    const right = clamp(x, -view.x0, endX - view.x1), up = clamp(y, -view.y0, endY - view.y1);
    this.setView({ x0: view.x0 + right, x1: view.x1 + right, y0: view.y0 + up, y1: view.y1 + up });
  }

  wheeled(place, factor) {
    this.zoom(this.toCell(place), factor);
  }

  zoom({ x, y }, factor) {
    const { x0, x1, y0, y1 } = this.view;
    this.setView({ x0: x + (x0 - x) * factor, x1: x + (x1 - x) * factor,
      y0: y + (y0 - y) * factor, y1: y + (y1 - y) * factor });
  }

  hovered(place) {
    this.pointed(place && this.cellAt(place));
  }

  reset() {
    this.setView(this.whole());
  }

  pressed({ key, shiftKey }) {
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const { view, field } = this;
    const middle = { x: (view.x0 + view.x1) / 2, y: (view.y0 + view.y1) / 2 };
    if (arrows[key] && shiftKey) {
      this.move((arrows[key][0] * (view.x1 - view.x0)) / 10, (arrows[key][1] * (view.y1 - view.y0)) / 10);
    } else if (arrows[key]) {
      const now = this.cross ?? { i: Math.floor(middle.x), j: Math.floor(middle.y) };
      this.setCross({ i: clamp(now.i + arrows[key][0], 0, field.nx - 1),
        j: clamp(now.j + arrows[key][1], 0, field.ny - 1) });
    } else if (key === "+" || key === "=") this.zoom(middle, 1 / 1.4);
    else if (key === "-") this.zoom(middle, 1.4);
    else return false;
    return true;
  }

  paint(pen, colors) {
    const box = this.box, view = this.shown(), { nx, ny, endX, endY } = this.field;
    const from = this.toPixel(Math.max(0, view.x0), Math.min(endY, view.y1));
    const to = this.toPixel(Math.min(endX, view.x1), Math.max(0, view.y0));
    pen.save();
    pen.beginPath();
    pen.rect(Math.max(box.left, from.x), Math.max(box.top, from.y), to.x - from.x, to.y - from.y);
    pen.clip();
    pen.fillStyle = hatched(pen, colors);
    pen.fillRect(box.left, box.top, box.width, box.height);
    const ratio = window.devicePixelRatio || 1;
    const i0 = Math.max(0, Math.floor(view.x0)), i1 = Math.min(nx, Math.ceil(view.x1));
    const j0 = Math.max(0, Math.floor(view.y0)), j1 = Math.min(ny, Math.ceil(view.y1));
    const dense = [(view.x1 - view.x0) / (box.width * ratio), (view.y1 - view.y0) / (box.height * ratio)];
    const [bx, by] = dense.map((share) => Math.max(1, Math.floor(share + 1e-6)));
    if (i1 > i0 && j1 > j0) {
      const image = cellPicture(this.field, i0, i1, j0, j1, bx, by, this.colors);
      const copy = new OffscreenCanvas(image.width, image.height);
      copy.getContext("2d").putImageData(image, 0, 0);
      // More cells than pixels are blended, so that a line a channel wide does not vanish.
      pen.imageSmoothingEnabled = dense[0] / bx > 1 || dense[1] / by > 1;
      pen.imageSmoothingQuality = "high";
      const corner = this.toPixel(i0, j0 + image.height * by), other = this.toPixel(i0 + image.width * bx, j0);
      pen.drawImage(copy, corner.x, corner.y, other.x - corner.x, other.y - corner.y);
    }
    pen.restore();
    this.decorate(pen, colors, this);
  }

  paintCover(pen, colors) {
    const box = this.box;
    pen.save();
    pen.beginPath();
    pen.rect(box.left, box.top, box.width, box.height);
    pen.clip();
    if (this.cross) {
      const at = this.toPixel(this.cross.i + 0.5, this.cross.j + 0.5);
      for (const [style, width] of [["rgba(0,0,0,.55)", 3], ["#fff", 1]]) { // seen on any colour
        pen.strokeStyle = style;
        pen.lineWidth = width;
        stroke(pen, [at.x, box.top, at.x, box.top + box.height]);
        stroke(pen, [box.left, at.y, box.left + box.width, at.y]);
      }
    }
    if (this.band) {
      const [a, b] = this.band;
      pen.strokeStyle = colors.mark;
      pen.lineWidth = 1.5;
      pen.fillStyle = "rgba(255,255,255,.2)";
      const [width, height] = [b.x - a.x, b.y - a.y].map((length) => (Math.abs(length) < CLICK_PX ? 0 : length));
      const whole = [width ? a.x : box.left, height ? a.y : box.top, width || box.width, height || box.height];
      pen.fillRect(...whole);
      pen.strokeRect(...whole);
    }
    pen.restore();
  }
}

// A range within 0 to `end`, of half a cell at least.
function within(low, high, end) {
  const width = clamp(high - low, Math.min(end, 0.5), end);
  const from = clamp((low + high - width) / 2, 0, end - width);
  return [from, from + width];
}
