// How a page ends its start: with what it shows, or with why it cannot.

// A line of the page in place of what cannot be drawn.
function failed(error) {
  const old = typeof DecompressionStream === "undefined";
  byId("app").replaceChildren(make("p", { className: "note", role: "alert" },
    old ? "This browser is too old to unpack the data (it lacks DecompressionStream); the header is below."
      : `The data cannot be shown: ${error.message}`));
}

// What scripts and tests may look at; nothing in the page depends on it.
function expose(state) {
  Object.defineProperty(window, "fastsigPage", { value: Object.freeze({ state }), writable: false });
  document.body.dataset.ready = "yes";
}
