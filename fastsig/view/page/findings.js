// The page of a table of findings: rows that sort and filter, marks by key that the browser keeps.
// Which columns, filters and pictures there are is in the model: see fastsig/view/page/findings.py.

const HEIGHT = 52, SPARE = 8; // of a row, as the style has it; rows laid out beyond the edges

class Marks {
  constructor(kind, id) {
    this.key = `fastsig-${kind}:${id}`;
    this.of = new Map();
    try {
      this.of = new Map(JSON.parse(localStorage.getItem(this.key) ?? "[]"));
    } catch { /* a browser that keeps nothing, or something else's entry: marks last for this visit */ }
  }

  set(row, mark) {
    if (mark) this.of.set(row, mark);
    else this.of.delete(row);
    try {
      localStorage.setItem(this.key, JSON.stringify([...this.of]));
    } catch { /* as above */ }
  }
}

class Page {
  constructor(model, bytes) {
    this.model = model;
    this.marks = new Marks(model.kind, model.id);
    this.pictures = new Pictures(model, bytes);
    this.chosen = new Chosen(model, this.pictures);
    this.small = model.panels.findIndex(({ kind }) => kind === "image");
    Object.assign(this, { limits: {}, picks: {}, words: [], sort: ["snr", true], at: 0 });
    this.texts = Array.from({ length: model.n }, (_, row) => model.searched
      .map((name) => model.columns[name][row] ?? "").join(" ").toLowerCase());
  }

  start() {
    this.count = make("output", {});
    this.body = make("tbody", {});
    this.heads = this.model.listed.map((column) => this.heading(column));
    const empty = () => make("th", { scope: "col" }, "");
    const table = make("table", { className: "rows" },
      make("thead", {}, make("tr", {}, empty(), ...this.heads, empty())), this.body);
    this.list = make("div", { className: "list", tabIndex: 0 }, table);
    this.list.addEventListener("scroll", () => this.lay());
    this.body.addEventListener("click", (event) => {
      const row = event.target.closest("tr[data-place]");
      if (row) this.choose(Number(row.dataset.place));
    });
    const left = make("div", {}, this.filters(), this.keys(), this.list);
    byId("app").replaceChildren(make("div", { className: "findings" }, left, this.chosen.node));
    document.addEventListener("keydown", (event) => this.press(event));
    window.addEventListener("resize", () => this.lay());
    this.update();
  }

  heading(column) {
    const head = make("th", { scope: "col", className: isText(column) ? "text" : "" });
    const sorter = button(column.text, () => {
      this.sort = [column.name, this.sort[0] === column.name ? !this.sort[1] : !isText(column)];
      this.update();
    });
    sorter.className = "sorter";
    head.dataset.column = column.name;
    head.append(sorter);
    return head;
  }

  filters() {
    const field = make("input", { type: "search", placeholder: "search", ariaLabel: `search every ${this.model.row_is}` });
    field.addEventListener("input", () => {
      this.words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      this.update();
    });
    const ranges = this.model.limited.map(({ name, text, factor }) => {
      const ends = ["from", "to"].map((end, side) => {
        const input = make("input", { type: "number", step: "any", placeholder: end, ariaLabel: `${text} ${end}` });
        input.dataset.limit = `${name}-${end}`;
        input.addEventListener("input", () => {
          const limits = this.limits[name] ?? [-Infinity, Infinity];
          limits[side] = input.value === "" ? [-Infinity, Infinity][side] : Number(input.value) / factor;
          this.limits[name] = limits;
          this.update();
        });
        return input;
      });
      return make("label", {}, `${text} `, ...ends);
    });
    const picks = this.model.picks.map((name) => this.pick(name,
      [...new Set(this.model.columns[name])].sort((a, b) => compareTexts(String(a), String(b)))));
    return make("div", { className: "filters" }, field, ...ranges, ...picks,
      this.pick("mark", ["good", "bad", "none"]), this.count);
  }

  pick(name, values) {
    const options = [["", "all"], ...values.map((value) => [String(value), String(value)])];
    const made = choice(name, options, "", (value) => {
      this.picks[name] = value;
      this.update();
    });
    made.select.dataset.pick = name;
    return made.node;
  }

  keys() {
    return make("p", { className: "keys" }, button("good (g)", () => this.mark("good")),
      button("bad (b)", () => this.mark("bad")), button("unmark (u)", () => this.mark("")),
      button("export marks (CSV)", () => this.save()),
      make("span", { className: "hint" }, ` j and k go to the next and the previous ${this.model.row_is}`));
  }

  fits(row) {
    const { columns } = this.model;
    for (const [name, [low, high]] of Object.entries(this.limits)) {
      const value = columns[name][row];
      if ((low !== -Infinity || high !== Infinity) && !(value >= low && value <= high)) return false;
    }
    for (const [name, wanted] of Object.entries(this.picks)) {
      const value = name === "mark" ? this.marks.of.get(row) ?? "none" : String(columns[name][row]);
      if (wanted && value !== wanted) return false;
    }
    return this.words.every((word) => this.texts[row].includes(word));
  }

  update() {
    const kept = this.rows?.[this.at], [name, down] = this.sort, values = this.model.columns[name];
    this.rows = Array.from({ length: this.model.n }, (_, row) => row).filter((row) => this.fits(row));
    const order = typeof values[0] === "string" ? (a, b) => (a < b ? -1 : Number(a > b)) : (a, b) => a - b;
    // Unknown values stay at the end in both directions; equal ones keep the order of the table.
    this.rows.sort((a, b) => (values[a] === null) - (values[b] === null)
      || (down ? -1 : 1) * order(values[a], values[b]) || a - b);
    for (const head of this.heads) {
      if (head.dataset.column === name) head.setAttribute("aria-sort", down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
    this.count.textContent = `${this.rows.length} of ${this.model.n}`;
    this.choose(Math.max(0, this.rows.indexOf(kept)));
  }

  choose(place) {
    this.at = Math.max(0, Math.min(this.rows.length - 1, place));
    const top = this.at * HEIGHT, view = this.list.clientHeight - 2 * HEIGHT;
    if (top < this.list.scrollTop) this.list.scrollTop = top;
    else if (top > this.list.scrollTop + view) this.list.scrollTop = top - view;
    this.lay();
    const row = this.rows[this.at];
    this.chosen.node.hidden = row === undefined;
    if (row !== undefined) this.chosen.show(row, this.marks.of.get(row) ?? "");
  }

  // Only the rows in view are laid out: thousands with pictures take seconds.
  lay() {
    const first = Math.max(0, Math.floor(this.list.scrollTop / HEIGHT) - SPARE);
    const stop = Math.min(this.rows.length, first + Math.ceil(this.list.clientHeight / HEIGHT) + 2 * SPARE);
    const space = (n) => {
      const cell = make("td", { colSpan: this.model.listed.length + 2 });
      cell.style.height = `${n * HEIGHT}px`;
      return make("tr", { className: "space" }, cell);
    };
    const rows = this.rows.slice(first, stop).map((row, k) => this.row(row, first + k));
    this.body.replaceChildren(space(first), ...rows, space(this.rows.length - stop));
  }

  row(row, place) {
    const canvas = make("canvas", {}), mark = this.marks.of.get(row) ?? "";
    if (this.small >= 0) this.pictures.draw(canvas, row, this.small);
    const cells = this.model.listed.map((column) => make("td", { className: isText(column) ? "text" : "" },
      written(this.model.columns[column.name][row], column)));
    const line = make("tr", {}, make("td", {}, canvas), ...cells, make("td", { className: `mark ${mark}` }, mark));
    line.dataset.place = place;
    line.setAttribute("aria-selected", String(place === this.at));
    return line;
  }

  mark(mark) {
    const row = this.rows[this.at];
    if (row === undefined) return;
    this.marks.set(row, mark);
    if (this.picks.mark && !this.fits(row)) this.update();
    else this.choose(this.at);
  }

  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
    const actions = {
      j: () => this.choose(this.at + 1), ArrowDown: () => this.choose(this.at + 1),
      k: () => this.choose(this.at - 1), ArrowUp: () => this.choose(this.at - 1),
      g: () => this.mark("good"), b: () => this.mark("bad"), u: () => this.mark(""),
      Home: () => this.choose(0), End: () => this.choose(this.rows.length - 1),
    };
    if (!(event.key in actions)) return;
    event.preventDefault();
    actions[event.key]();
  }

  csv() {
    const names = this.model.saved;
    // A leading sign makes a spreadsheet compute what only is a name.
    const cell = (value) => {
      const text = value === null ? "" : String(value);
      const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
      return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
    };
    // Rows are counted from 1, as by `fastsig cut --row`.
    const rows = [...this.marks.of].sort(([a], [b]) => a - b).map(([row, mark]) => [row + 1,
      ...names.map((name) => this.model.columns[name][row]), mark].map(cell).join(","));
    return `${["row", ...names, "mark"].join(",")}\r\n${rows.map((row) => `${row}\r\n`).join("")}`;
  }

  save() {
    const link = make("a", { href: URL.createObjectURL(new Blob([this.csv()], { type: "text/csv" })), download: "marks.csv" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  state() {
    return { view: { shown: this.rows.length, at: this.at, row: this.rows[this.at], sort: this.sort,
      laid: this.body.rows.length - 2 }, rows: this.rows.slice(0, 20), marks: [...this.marks.of] };
  }
}

(async () => {
  const page = new Page(JSON.parse(byId("model").textContent), await inflated("pictures"));
  page.start();
  expose(() => page.state());
})().catch(failed);
