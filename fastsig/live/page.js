"use strict";
// Shows the status of a session, which is fetched once a second, and its pictures.
const COUNTERS = ["received", "placed", "lost", "late", "duplicate", "bad_length", "bad_header",
  "other_beam", "other_sender", "unconfirmed", "jumps", "kernel_drops"];
const BAD = new Set(["lost", "kernel_drops", "bad_length", "bad_header", "other_sender"]);
const SINK = ["state", "files", "rows", "weight", "lag_s", "overwritten"];

function element(name, text, kind) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function shown(value) {
  if (value === null || value === undefined) return "–";
  return typeof value === "number" && !Number.isInteger(value) ? value.toPrecision(4) : String(value);
}

function table(rows) {
  const made = element("table");
  rows.forEach((cells, number) => {
    const row = made.appendChild(element("tr"));
    for (const cell of cells) {
      const [text, bad] = Array.isArray(cell) ? cell : [cell, false];
      row.appendChild(element(number ? "td" : "th", shown(text), bad ? "bad" : ""));
    }
  });
  return made;
}

function source(found) {
  const made = element("section");
  made.appendChild(element("h2", found.source));
  const ring = found.ring || {};
  made.appendChild(table([["counter", "packets"], ...COUNTERS.filter((name) => name in ring).map(
    (name) => [name.replace("_", " "), [ring[name], BAD.has(name) && ring[name] > 0]])]));
  const levels = Object.entries(found.levels || {});
  if (levels.length) {
    const names = Object.keys(levels[0][1]);
    made.appendChild(table([["level", ...names],
      ...levels.map(([name, values]) => [name, ...names.map((each) => values[each])])]));
  }
  made.appendChild(table([["product", ...SINK.map((name) => name.replace("_s", ", s"))],
    ...Object.entries(found.sinks).map(([kind, sink]) => [kind, ...SINK.map((name) => [
      sink[name], (name === "overwritten" && sink[name] > 0) || sink[name] === "failed"])])]));
  if ("picture" in found.sinks) {
    const image = element("img");
    image.alt = "the spectra of the last minute";
    image.src = "/picture/" + encodeURIComponent(found.label) + "?" + Math.floor(Date.now() / 5000);
    image.onerror = () => { image.hidden = true; };
    made.appendChild(image);
  }
  return made;
}

async function update() {
  const heading = document.getElementById("state");
  try {
    const status = await (await fetch("/status.json")).json();
    heading.textContent = `${status.stopping ? "ending" : "running"} for ${
      Math.round(status.running_s)} s, to ${status.folder}`;
    document.getElementById("sources").replaceChildren(...status.sources.map(source));
    document.body.dataset.ready = "yes";
  } catch (error) {
    heading.textContent = "the session does not answer";
  }
}

update();
setInterval(update, 1000);
