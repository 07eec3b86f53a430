// Axes: from cells (0 at the first cell's edge) to physical values, with ticks at round numbers.

const LIGHT_KMS = 299792.458;
const DAY_S = 86400;

function roundStep(span, count, steps) {
  const rough = span / Math.max(1, count);
  if (steps && rough > steps[0] && rough <= steps[steps.length - 1]) {
    return steps.find((step) => step >= rough);
  }
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 5, 10].find((factor) => factor * power >= rough * 0.9999) ?? 10);
}

const decimalsOf = (step) => Math.max(0, Math.min(12, Math.ceil(-Math.log10(step) - 1e-6)));

// Minus as a sign of its own, as in print.
const fixed = (value, decimals) => value.toFixed(decimals).replace(/^-(0\.?0*)$/, "$1").replace("-", "−");

function roundTicks(low, high, count, steps) {
  if (!(high > low)) return [];
  const step = roundStep(high - low, count, steps), found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) found.push(k * step);
  return found.map((value) => ({ value, step }));
}

// Numbers of any size, short: powers of ten where a plain number would be long.
function shortNumber(value, digits = 5) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) {
    const [mantissa, power] = value.toExponential(digits - 1).split("e");
    return `${fixed(Number(mantissa), digits - 1)}e${Number(power)}`;
  }
  return String(Number(value.toPrecision(digits))).replace("-", "−");
}

function valueTicks(low, high, count) {
  const ticks = roundTicks(low, high, count), size = Math.max(Math.abs(low), Math.abs(high));
  return ticks.map(({ value, step }) => ({
    value,
    text: size < 1e-3 || size >= 1e5 ? shortNumber(value, Math.max(1, Math.ceil(Math.log10(size / step)) + 1))
      : fixed(value, decimalsOf(step)),
  }));
}

// An even axis; `factor` turns the unit it is stored in into the one that is shown.
function evenAxis({ lo, step, end, n, name, unit }, factor = 1, shown = unit) {
  const at = (cell) => (lo + cell * step) * factor, back = (value) => (value / factor - lo) / step;
  const decimals = decimalsOf(Math.abs(step * factor)) + 1;
  return {
    n, end, name, unit: shown, at,
    title: shown ? `${name} (${shown})` : name,
    text: (cell) => `${fixed(at(cell), decimals)}${shown ? ` ${shown}` : ""}`,
    ticks: (from, to, count) => roundTicks(...[at(from), at(to)].sort((a, b) => a - b), count)
      .map((tick) => ({ cell: back(tick.value), text: fixed(tick.value, decimalsOf(tick.step)) })),
  };
}

// An axis of the values at the cells' centres, which rise or fall.
function listedAxis(values, name, unit) {
  const n = values.length, last = n - 1;
  const at = (cell) => {
    if (n === 1) return values[0];
    const place = Math.max(0, Math.min(last - 1, Math.floor(cell - 0.5)));
    return values[place] + (cell - 0.5 - place) * (values[place + 1] - values[place]);
  };
  const rising = n < 2 || values[last] > values[0];
  const back = (value) => {
    let low = 0, high = n; // cells; halved until it is found to a millionth of a cell
    for (let k = 0; k < 60; k++) {
      const middle = (low + high) / 2;
      if (at(middle) < value === rising) low = middle;
      else high = middle;
    }
    return (low + high) / 2;
  };
  const width = n > 1 ? Math.abs(values[last] - values[0]) / last : 1;
  return {
    n, end: n, name, unit, at, title: unit ? `${name} (${unit})` : name,
    text: (cell) => `${fixed(at(cell), decimalsOf(width) + 1)} ${unit}`,
    ticks: (from, to, count) => n === 1 ? [] : roundTicks(...[at(from), at(to)].sort((a, b) => a - b), count)
      .map((tick) => ({ cell: back(tick.value), text: fixed(tick.value, decimalsOf(tick.step)) })),
  };
}

function timeFactor(seconds) {
  const found = [["s", 1], ["ms", 1e3], ["µs", 1e6]].find(([, factor]) => seconds * factor >= 2);
  return found ?? ["ns", 1e9];
}

const two = (number) => String(number).padStart(2, "0");

// UTC of seconds from the start. Whole days and nanoseconds are apart, as a Date has but
// milliseconds; a leap second within the data is 23:59:60.
function utcText(start, leap, seconds, decimals = 9) {
  const [, day, hour, minute, second] = start.match(/^(.{10})T(\d+):(\d+):([\d.]+)$/);
  const late = leap !== null && seconds >= leap ? (seconds < leap + 1 ? 2 : 1) : 0;
  let time = Number(hour) * 3600 + Number(minute) * 60 + Number(second) + seconds - (late ? 1 : 0);
  time = Math.floor(time * 10 ** decimals + 0.5) / 10 ** decimals;
  const days = Math.floor(time / DAY_S), rest = time - days * DAY_S;
  const date = new Date(Date.parse(`${day}T00:00:00Z`) + days * DAY_S * 1000).toISOString().slice(0, 10);
  const whole = Math.floor(rest), part = (rest - whole).toFixed(decimals).slice(1);
  const last = (whole % 60) + (late === 2 ? 1 : 0);
  return `${date} ${two(Math.floor(whole / 3600))}:${two(Math.floor(whole / 60) % 60)}:${two(last)}${part}`;
}

const CLOCK_STEPS = [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800,
  21600, 43200, DAY_S];

// The same axis with ticks at round times of day.
function clockAxis({ lo, step, end, n, start, leap }) {
  const [hour, minute, second] = start.slice(11).split(":").map(Number);
  const offset = hour * 3600 + minute * 60 + second;
  return {
    n, end, name: "UTC", unit: "", title: `UTC, from ${start.slice(0, 10)}`,
    text: (cell) => utcText(start, leap, lo + cell * step, Math.min(9, decimalsOf(step) + 1)),
    ticks: (from, to, count) => roundTicks(lo + from * step + offset, lo + to * step + offset, count, CLOCK_STEPS)
      .map((tick) => ({
        cell: (tick.value - offset - lo) / step,
        text: utcText(start, leap, tick.value - offset, decimalsOf(tick.step)).slice(11),
      })),
  };
}

// Radio velocity of a frequency axis: v = c (1 - f / f0).
function velocityAxis(axis) {
  const slope = -LIGHT_KMS / axis.rest;
  return evenAxis({ ...axis, lo: LIGHT_KMS + axis.lo * slope, step: axis.step * slope,
    name: `radio velocity, ${axis.frame}`, unit: "km/s" });
}
