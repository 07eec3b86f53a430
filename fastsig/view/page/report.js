// The page of a batch: totals that filter, columns that sort, a search; all of it kept in the address.

const tasks = document.querySelector("table.tasks"), totals = document.querySelector(".totals");
const headings = [...tasks.tHead.rows[0].cells], rows = tasks.tBodies[0].rows;
const FEW = 500; // rows that are laid out before more are asked for: ten thousand take seconds
const texts = new Map(), view = new URLSearchParams(location.hash.slice(1));

function textOf(row) {
  if (!texts.has(row)) texts.set(row, row.textContent.toLowerCase());
  return texts.get(row);
}

function keep(changes) {
  for (const [key, value] of Object.entries(changes)) {
    if (value) view.set(key, value);
    else view.delete(key);
  }
  history.replaceState(null, "", `#${view}`);
}

const more = button("show all", () => {
  keep({ all: "1" });
  filter();
});
const shown = make("output", {}), field = make("input", {
  type: "search", placeholder: "search names, causes, products", "aria-label": "search the tasks",
  value: view.get("q") ?? "",
});

function filter() {
  const state = view.get("state") ?? "", words = (view.get("q") ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const most = view.has("all") ? Infinity : FEW;
  let n = 0;
  for (const row of rows) {
    const fits = (!state || row.dataset.state === state) && words.every((word) => textOf(row).includes(word));
    n += fits ? 1 : 0;
    row.hidden = !fits || n > most;
  }
  more.hidden = n <= most;
  for (const item of totals.children) item.setAttribute("aria-pressed", String(item.dataset.state === state));
  if (n > most) shown.textContent = `the first ${most} of ${n}`;
  else shown.textContent = state || words.length ? `${n} of ${rows.length} shown` : "";
}

function sortBy(column, down) {
  const heading = headings[column];
  if (!heading) return;
  heading.setAttribute("aria-sort", down ? "ascending" : "descending"); // sortTable turns it round
  sortTable(tasks, column, heading);
  filter();
}

for (const item of totals.children) {
  item.setAttribute("role", "button");
  item.tabIndex = 0;
  const press = () => {
    keep({ state: view.get("state") === item.dataset.state ? "" : item.dataset.state });
    filter();
  };
  item.addEventListener("click", press);
  item.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    press();
  });
}

headings.forEach((heading, column) => {
  if (!heading.textContent) return;
  const sorter = button(heading.textContent, () => {
    const down = heading.getAttribute("aria-sort") === "ascending";
    sortBy(column, down);
    keep({ sort: String(column), down: down ? "1" : "" });
  });
  sorter.className = "sorter";
  heading.replaceChildren(sorter);
});

function search() {
  keep({ q: field.value.trim() });
  filter();
}

let typed = 0;
field.addEventListener("input", () => {
  clearTimeout(typed);
  if (rows.length <= 1000) search(); // at once; many rows wait for the next letter
  else typed = setTimeout(search, 150);
});

// While a run is at work it rewrites this file: what is chosen stays in the address.
function reloading(seconds) {
  const box = make("input", { type: "checkbox", checked: view.get("reload") === "1" });
  let timer = 0;
  const set = () => {
    clearTimeout(timer);
    if (box.checked) timer = setTimeout(() => location.reload(), 1000 * seconds);
  };
  box.addEventListener("change", () => {
    keep({ reload: box.checked ? "1" : "" });
    set();
  });
  set();
  return make("label", {}, box, ` reload every ${seconds} s`);
}

const tools = make("div", { className: "find" }, field, shown, more);
const seconds = Number(tasks.parentElement.dataset.reload ?? 0);
if (seconds) tools.append(reloading(seconds));
tasks.before(tools);
if (view.has("sort")) sortBy(Number(view.get("sort")), view.has("down"));
filter();
document.body.dataset.ready = "yes";
