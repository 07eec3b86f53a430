// What every page has: elements made without HTML text, tables that sort and search, embedded data.

const byId = (name) => document.getElementById(name);

// An element with properties or attributes and children; text only ever enters as text.
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key in element) element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

const cellOf = (row, column) => row.cells[column].dataset.sort ?? row.cells[column].textContent;

// Numbers before texts, each in its own order; sortTable leaves empty cells at the end.
function compareTexts(a, b) {
  const first = a.trim() === "" ? NaN : Number(a), second = b.trim() === "" ? NaN : Number(b);
  const numbers = [first, second].map((value) => !Number.isNaN(value));
  if (numbers[0] && numbers[1]) return first - second;
  if (numbers[0] !== numbers[1]) return numbers[0] ? -1 : 1;
  return a.localeCompare(b);
}

function sortTable(table, column, heading) {
  const down = heading.getAttribute("aria-sort") === "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", down ? "descending" : "ascending");
  const keyed = [...table.tBodies[0].rows].map((row) => [cellOf(row, column), row]);
  keyed.sort(([first], [second]) => {
    if ((first === "") !== (second === "")) return first === "" ? 1 : -1;
    return (down ? -1 : 1) * compareTexts(first, second);
  });
  table.tBodies[0].append(...keyed.map(([, row]) => row));
}

function searchTable(table, text, count) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of table.tBodies[0].rows) {
    const content = row.textContent.toLowerCase();
    row.hidden = !words.every((word) => content.includes(word));
    shown += row.hidden ? 0 : 1;
  }
  count.textContent = words.length ? `${shown} of ${table.tBodies[0].rows.length}` : "";
}

function enliven(table) {
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const button = make("button", { type: "button", className: "sorter" }, heading.textContent);
    button.addEventListener("click", () => sortTable(table, column, heading));
    heading.replaceChildren(button);
  });
  const count = make("output", {}), field = make("input", {
    type: "search", placeholder: "search", "aria-label": "search this table",
  });
  field.addEventListener("input", () => searchTable(table, field.value, count));
  table.before(make("p", { className: "search" }, field, " ", count));
}

document.querySelectorAll("table.facts").forEach(enliven);

// The browser's own decoder works from disk, where fetch does not.
async function inflated(name) {
  const raw = Uint8Array.from(atob(byId(name).textContent), (sign) => sign.charCodeAt(0));
  const plain = new Blob([raw]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(plain).arrayBuffer());
}

// Codes to values by a table, as fastsig/view/page/_codes.py tells; code 0 is NaN.
async function decodedValues(product) {
  const bytes = await inflated(product.values), { center, spread, step, top } = product;
  const values = new Float32Array(2 * top + 2).fill(NaN);
  for (let code = 1; code <= 2 * top + 1; code++) {
    values[code] = center + spread * Math.sinh((code - 1 - top) * step);
  }
  if (top <= 127) return Float32Array.from(bytes, (code) => values[code]);
  const n = bytes.length / 2, found = new Float32Array(n);
  for (let i = 0; i < n; i++) found[i] = values[(bytes[i] << 8) | bytes[n + i]];
  return found;
}

// Weights as a function of the cell; `most` is what the code 255 stands for.
async function decodedWeights(product, most) {
  if (!product.weights) return () => product.weight;
  const bytes = await inflated(product.weights);
  return (cell) => (bytes[cell] * most) / 255;
}

function choice(label, options, chosen, changed) {
  const select = make("select", {});
  for (const [value, text] of options) {
    select.append(make("option", { value, selected: String(value) === String(chosen) }, text));
  }
  select.addEventListener("change", () => changed(select.value));
  return { select, node: make("label", {}, `${label} `, select) };
}

function button(text, pressed, title = "") {
  const element = make("button", { type: "button", title }, text);
  element.addEventListener("click", pressed);
  return element;
}
