// Canvases that are drawn on: sharp on any screen, redrawn at most once a frame.

const FONT = "12px system-ui, sans-serif";
const CLICK_PX = 4; // a pointer that moves less than this clicks

const clamp = (value, low, high) => Math.max(low, Math.min(high, value));

class Panel {
  constructor(host, className, label) {
    this.canvas = make("canvas", { className: "base" });
    this.cover = make("canvas", { className: "cover", tabIndex: 0, role: "img", "aria-label": label });
    this.node = make("div", { className: `panel ${className}` }, this.canvas, this.cover);
    this.margin = { left: 74, right: 12, top: 12, bottom: 46 };
    this.waiting = new Set();
    host.append(this.node);
    new ResizeObserver(() => this.redraw()).observe(this.node);
    this.follow();
  }

  get box() {
    const { left, right, top, bottom } = this.margin;
    const width = this.node.clientWidth, height = this.node.clientHeight;
    return { left, top, width: Math.max(1, width - left - right), height: Math.max(1, height - top - bottom) };
  }

  redraw() {
    this.schedule("base");
    this.schedule("cover");
  }

  schedule(which) {
    if (!this.waiting.size) requestAnimationFrame(() => this.flush());
    this.waiting.add(which);
  }

  flush() {
    const which = [...this.waiting];
    this.waiting.clear();
    if (!this.node.clientWidth) return;
    if (which.includes("base")) this.paint(this.context(this.canvas), theme());
    if (which.includes("cover")) this.paintCover(this.context(this.cover), theme());
  }

  context(canvas) {
    const ratio = window.devicePixelRatio || 1;
    const width = Math.round(this.node.clientWidth * ratio), height = Math.round(this.node.clientHeight * ratio);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, this.node.clientWidth, this.node.clientHeight);
    pen.font = FONT;
    return pen;
  }

  paintCover() {}

  // What pointers do, in the panel's pixels: clicked, dragged, panned (with shift), hovered, wheeled.
  follow() {
    let from = null;
    const place = (event) => {
      const box = this.cover.getBoundingClientRect();
      return { x: event.clientX - box.left, y: event.clientY - box.top };
    };
    this.cover.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      from = { ...place(event), shift: event.shiftKey, moved: false };
      from.last = from;
      this.cover.setPointerCapture(event.pointerId);
    });
    this.cover.addEventListener("pointermove", (event) => {
      const now = place(event);
      if (!from) return this.hovered(now);
      from.moved ||= Math.hypot(now.x - from.x, now.y - from.y) >= CLICK_PX;
      if (!from.moved) return;
      if (from.shift) this.panned(from.last, now);
      else this.dragging(from, now);
      from.last = now;
    });
    const ended = (event) => {
      if (!from) return;
      const start = from, now = place(event);
      from = null;
      if (event.type === "pointercancel") this.dragging(null);
      else if (!start.moved) this.clicked(now);
      else if (!start.shift) this.dragged(start, now);
    };
    this.cover.addEventListener("pointerup", ended);
    this.cover.addEventListener("pointercancel", ended);
    this.cover.addEventListener("pointerleave", () => this.hovered(null));
    this.cover.addEventListener("dblclick", () => this.reset());
    this.cover.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.wheeled(place(event), Math.exp(clamp(event.deltaY, -200, 200) / 400));
    }, { passive: false });
    this.cover.addEventListener("keydown", (event) => {
      if (!event.ctrlKey && !event.metaKey && !event.altKey && this.pressed(event)) event.preventDefault();
    });
  }

  clicked() {}
  dragging() {}
  dragged() {}
  panned() {}
  hovered() {}
  wheeled() {}
  reset() {}
  pressed() { return false; }
}

function textAt(pen, text, x, y, align, baseline) {
  pen.textAlign = align;
  pen.textBaseline = baseline;
  pen.fillText(text, x, y);
}

// Ticks of an even or listed axis along one side; texts that would touch are left out.
function drawAxis(pen, colors, box, axis, range, side, { texts = true, title = true, grid = false } = {}) {
  const level = side === "bottom" || side === "top";
  const length = level ? box.width : box.height, [from, to] = range;
  const count = level ? length / 95 : length / 55, at = level
    ? (cell) => box.left + ((cell - from) / (to - from)) * length
    : (cell) => box.top + length - ((cell - from) / (to - from)) * length;
  const edge = { bottom: box.top + box.height, top: box.top, left: box.left, right: box.left + box.width }[side];
  const out = side === "bottom" || side === "right" ? 1 : -1;
  const ticks = axis.ticks(from, to, count).filter(({ cell }) => cell >= from - 1e-9 && cell <= to + 1e-9);
  pen.strokeStyle = colors.ink;
  pen.fillStyle = colors.ink;
  pen.lineWidth = 1;
  let end = -Infinity, widest = 0;
  for (const { cell, text } of ticks.sort((a, b) => at(a.cell) - at(b.cell))) {
    const place = at(cell);
    if (grid) {
      pen.strokeStyle = colors.line;
      stroke(pen, level ? [place, box.top, place, box.top + box.height] : [box.left, place, box.left + box.width, place]);
      pen.strokeStyle = colors.ink;
    }
    stroke(pen, level ? [place, edge, place, edge + 5 * out] : [edge, place, edge + 5 * out, place]);
    const room = level ? pen.measureText(text).width / 2 + 4 : 8;
    if (!texts || place - room < end) continue;
    end = place + room;
    widest = Math.max(widest, pen.measureText(text).width);
    if (level) textAt(pen, text, place, edge + 8 * out, "center", side === "bottom" ? "top" : "bottom");
    else textAt(pen, text, edge + 8 * out, place, side === "left" ? "right" : "left", "middle");
  }
  if (!title) return;
  if (level) textAt(pen, axis.title, box.left + box.width / 2, edge + 26 * out, "center", side === "bottom" ? "top" : "bottom");
  else turnedText(pen, axis.title, edge + out * (widest + 20), box.top + box.height / 2);
}

function stroke(pen, [x0, y0, x1, y1]) {
  pen.beginPath();
  pen.moveTo(x0, y0);
  pen.lineTo(x1, y1);
  pen.stroke();
}

function turnedText(pen, text, x, y) {
  pen.save();
  pen.translate(x, y);
  pen.rotate(-Math.PI / 2);
  textAt(pen, text, 0, 0, "center", "middle");
  pen.restore();
}

function drawFrame(pen, colors, box) {
  pen.strokeStyle = colors.ink;
  pen.lineWidth = 1;
  pen.strokeRect(box.left + 0.5, box.top + 0.5, box.width - 1, box.height - 1);
}
