"use strict";
const diverging = () => dark() ? [[0, "#c25a52"], [0.25, "#74403d"], [0.5, "#262b33"], [0.75, "#2c4c7d"], [1, "#3f78c9"]]
  : [[0, "#c0504a"], [0.25, "#e3a7a0"], [0.5, "#eceff1"], [0.75, "#94bbe6"], [1, "#2f6fc4"]];
const sequential = () => (dark() ? [[0, "#232a35"], [0.5, "#37639f"], [1, "#83b4f2"]] : [[0, "#e9eef5"], [0.5, "#7fa9dc"], [1, "#1f4f96"]]);
const PAGE = 20, LONGEST = 90;
const MEDIUM = new Set(["return_pct", "max_drawdown_pct", "pnl_net"]);
const SECTIONS = { params: "strategy", execution: "costs", overlays: "rules over the strategy" };
const at = { study: "", board: null, rows: [], row: -1, sort: null, down: true, page: 0, base: null, shown: null, cell: null, turn: 0 };
let change = { params: {}, execution: {}, overlays: {} };
let waiting = null, busy = false, pins = [], later = 0;
const clocks = new Map();
const trades = { page: 0, column: "closed", down: false };

function options(select, values, chosen) {
  select.replaceChildren(...values.map(([value, text]) => Object.assign(make("option", text), { value })));
  if (chosen !== undefined) select.value = chosen;
}
function say(error) {
  $("error").hidden = !error;
  $("error").textContent = error ? error.message || String(error) : "";
}
async function ask(question, asked) {
  const answer = await fetch(question, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(asked || {}),
  }).catch(() => { throw new Error("the explorer does not answer: is whatif explore still running?"); });
  const told = await answer.json().catch(() => ({ error: `the explorer answered ${answer.status}: is it still running?` }));
  if (!answer.ok) throw new Error(told.error);
  return told;
}
/* a run; the times of sessions come with the first one on the same bars alone */
async function run(asked) {
  const told = await ask("run", { ...asked, clock: at.shown ? at.shown.clock.name : "" });
  if (told.clock.first) clocks.set(told.clock.name, told.clock);
  told.clock = clocks.get(told.clock.name);
  return told;
}

async function begin() {
  const { studies } = await ask("studies");
  if (!studies.length) { $("empty").hidden = false; $("empty").textContent = "This lake holds no backtest yet: run a study first, whatif run my-study.yaml"; return; }
  options($("study"), studies.map((one) => [one.name, `${one.name}${one.verdict ? `: ${one.verdict}` : ""}${one.known ? "" : " (give its file to open it)"}`]));
  const known = studies.find((one) => one.known);
  if (known) $("study").value = known.name;
  $("study").onchange = () => open().catch(say);
  await open();
}
async function open() {
  say(null);
  $("main").hidden = $("empty").hidden = true;
  const asked = performance.now();
  const board = await ask("open", { study: $("study").value });
  Object.assign(at, { study: board.study, board, sort: board.objective, down: !board.lower, page: 0, row: -1, shown: null, base: null });
  pins = [];
  compare();
  options($("symbol"), [["", "all"], ...board.symbol.levels.map((name) => [name, name])]);
  options($("across"), board.axes.map((axis) => [axis.name, axis.name]), board.axes[0] && board.axes[0].name);
  options($("down"), board.axes.map((axis) => [axis.name, axis.name]), board.axes.length > 1 ? board.axes[1].name : undefined);
  options($("colour"), Object.keys(board.metrics).map((name) => [name, board.about[name].heading]), board.objective);
  $("test").hidden = !board.has_test;
  $("from").value = $("to").value = "";
  for (const [name, us] of [["min", board.window[0]], ["max", board.window[1] - 1]]) {
    const day = new Date(us / 1000).toISOString().slice(0, 10);
    $("from")[name] = $("to")[name] = day;
  }
  const failed = !board.status.levels.includes("ok");
  const bad = board.ids.map((_, k) => k).filter((k) => !okay(k)), idle = !failed && board.metrics.trades && board.metrics.trades.every((n) => !n);
  const why = () => [...new Set(bad.map((k) => board.error.levels[board.error.codes[k]] || "no message"))].slice(0, 3).map((one) => one.slice(0, 600)).join("\n");
  $("empty").hidden = !bad.length && !idle;
  $("empty").textContent = failed ? `Every backtest of this study failed, so there is nothing to change:\n${why()}`
    : idle ? "No backtest of this study closed a trade: its metrics tell nothing of the rule. Is there cash for the size, and are there bars enough for the longest period?"
    : bad.length ? `${number(bad.length)} of ${number(board.ids.length)} backtests failed; they stand last in the leaderboard. The first reasons:\n${why()}` : "";
  for (const id of ["changed", "controls", "measured", "mapped", "traded"]) $(id).hidden = failed;
  $("main").hidden = false;
  sorted();
  map();
  if (!failed) {
    const first = chosenRow();
    await pick(first >= 0 && okay(first) ? first : at.rows.find(okay));
  }
  $("said").textContent = `${counted(board.ids.length, "backtest")}, ${counted(board.trials, "trial")} counted, opened in ${Math.round(performance.now() - asked)} ms`;
}
const counted = (n, word) => `${number(n)} ${word}${n === 1 ? "" : "s"}`;
const nameOf = (k) => at.board.symbol.levels[at.board.symbol.codes[k]];
const okay = (k) => at.board.status.levels[at.board.status.codes[k]] === "ok";
const axisValue = (axis, k) => axis.levels[axis.codes[k]];
const chosenRow = () => (at.board.chosen ? at.board.ids.findIndex((id, k) => id === at.board.chosen[0] && nameOf(k) === at.board.chosen[1]) : -1);

function sorted() {
  const { board } = at;
  const axis = board.axes.find((one) => one.name === at.sort);
  const key = axis ? axis.codes : board.metrics[at.sort] || [];
  const wanted = $("symbol").value;
  at.rows = [...board.ids.keys()].filter((k) => !wanted || nameOf(k) === wanted);
  const missing = (v) => v === null || v === undefined;
  at.rows.sort((a, b) => {
    if (missing(key[a]) || missing(key[b])) return missing(key[a]) - missing(key[b]) || okay(b) - okay(a) || a - b;
    return (at.down ? key[b] - key[a] : key[a] - key[b]) || a - b;
  });
  table();
}
function table() {
  const { board } = at;
  const shown = [...new Set([board.objective, ...SHOWN])].filter((name) => name in board.metrics);
  // where there is little room, the axes stand in one column, and metrics that others tell of are left out
  const several = board.symbol.levels.length > 1, room = (name) => (name === board.objective || name === "trades" ? "" : MEDIUM.has(name) ? "wide" : "minor");
  const head = make("tr"), title = (text, kind) => Object.assign(make("th", text, kind), { scope: "col" });
  if (several) head.append(title("symbol"));
  head.append(title("configuration", "narrow"));
  for (const name of [...board.axes.map((axis) => axis.name), ...shown]) {
    const cell = title(undefined, shown.includes(name) ? room(name) : "apart"), button = make("button", board.about[name] && shown.includes(name) ? board.about[name].heading : words(name));
    button.type = "button";
    if (name === at.sort) cell.setAttribute("aria-sort", at.down ? "descending" : "ascending");
    button.onclick = () => { at.down = name === at.sort ? !at.down : true; at.sort = name; at.page = 0; sorted(); };
    cell.append(button);
    head.append(cell);
  }
  const body = make("tbody");
  for (const k of at.rows.slice(at.page * PAGE, (at.page + 1) * PAGE)) {
    const row = make("tr");
    row.tabIndex = 0;
    row.dataset.row = k;
    if (k === at.row) row.setAttribute("aria-current", "true");
    row.className = `${k === at.row ? "picked" : ""} ${k === chosenRow() ? "chosen" : ""}`;
    const cells = [
      ...(several ? [[nameOf(k), ""]] : []), [whatOf(k), "narrow axis"], ...board.axes.map((axis) => [String(axisValue(axis, k) ?? "–"), "apart axis"]),
      ...shown.map((name) => [metric(board.about, name, board.metrics[name][k]), room(name)]),
    ];
    for (const [text, kind] of cells) row.append(Object.assign(make("td", (text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text).replaceAll(" %", "\u00a0%"), kind), { title: text }));
    if (!okay(k)) {
      row.title = board.error.levels[board.error.codes[k]] || "failed";
      row.classList.add("bad");
      for (const cell of row.querySelectorAll("td:first-child, td:first-child + .axis")) cell.append(" (failed)");
    }
    row.onclick = () => pick(k).catch(say);
    row.onkeydown = (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); row.click(); } };
    body.append(row);
  }
  const focused = document.activeElement && document.activeElement.dataset.row;
  const top = make("thead");
  top.append(head);
  $("board").replaceChildren(top, body);
  if (focused !== undefined) $("board").querySelector(`[data-row="${focused}"]`)?.focus({ preventScroll: true });
  const last = Math.max(1, Math.ceil(at.rows.length / PAGE));
  $("page").textContent = `page ${at.page + 1} of ${last}`;
  $("before").disabled = at.page === 0;
  $("after").disabled = at.page + 1 >= last;
}
/* the row that is shown, without making the table again */
function mark() {
  for (const row of $("board").querySelectorAll("tbody tr")) {
    const picked = Number(row.dataset.row) === at.row;
    row.classList.toggle("picked", picked);
    if (picked) row.setAttribute("aria-current", "true"); else row.removeAttribute("aria-current");
  }
}

function cells() {
  const { board } = at, wanted = $("symbol").value, values = board.metrics[$("colour").value];
  const [x, y] = ["across", "down"].map((id) => board.axes.find((axis) => axis.name === $(id).value));
  const best = new Map();
  const key = board.metrics[board.objective];
  board.ids.forEach((_, k) => {
    if (!okay(k) || (wanted && nameOf(k) !== wanted) || key[k] === null) return;
    const cell = `${x.codes[k]},${y.codes[k]}`, there = best.get(cell);
    if (there === undefined || (board.lower ? key[k] < key[there] : key[k] > key[there])) best.set(cell, k);
  });
  return { x, y, best, values };
}
let grid = null;
/* what stands on the map: the chosen, the one that is shown, and a frame at the cell that the keyboard is on */
function marked() {
  const [i, j] = at.cell || [0, 0], corners = { x0: i - 0.5, x1: i + 0.5, y0: j - 0.5, y1: j + 0.5 };
  return { annotations: marks(), shapes: at.cell ? [{ type: "rect", ...corners, line: { color: colour("--ink"), width: 3 } }] : [] };
}
function pickCell(i, j) {
  const k = grid.best.get(`${i},${j}`);
  if (k !== undefined) pick(k).catch(say);
}
$("map").onkeydown = (event) => {
  if (!grid || event.ctrlKey || event.metaKey || event.altKey) return;
  const { x, y, best, values } = grid, step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] }[event.key];
  if (!step && event.key !== "Enter" && event.key !== " ") return;
  event.preventDefault();
  if (!step) { if (at.cell) pickCell(...at.cell); return; }
  const last = [x.levels.length - 1, y.levels.length - 1];
  const from = at.row >= 0 && okay(at.row) ? [x.codes[at.row], y.codes[at.row]] : [0, 0];
  at.cell = (at.cell || from).map((one, k) => Math.min(last[k], Math.max(0, one + step[k])));
  const [i, j] = at.cell, k = best.get(`${i},${j}`), name = $("colour").value;
  const told = k === undefined ? "nothing" : `${at.board.about[name].heading} ${metric(at.board.about, name, values[k])}; Enter shows it`;
  $("map-cell").textContent = `${words(x.name)} ${x.levels[i] ?? "–"}, ${words(y.name)} ${y.levels[j] ?? "–"}: ${told}.`;
  Plotly.relayout("map", marked());
};
$("map").onblur = () => { at.cell = null; if (grid) Plotly.relayout("map", marked()); };
function marks() {
  const found = [];
  for (const [k, text] of [[chosenRow(), "★"], [at.row, "○"]]) {
    if (k < 0 || !okay(k)) continue;
    found.push({ x: grid.x.codes[k], y: grid.y.codes[k], text, showarrow: false, font: { size: 18, color: dark() ? "#fff" : "#111" }, xshift: text === "○" ? 8 : -8 });
  }
  return found;
}
function map() {
  const { board } = at;
  const drawable = board.axes.length > 1 && $("across").value !== $("down").value && board.status.levels.includes("ok");
  $("map").hidden = !drawable;
  grid = at.cell = null;
  $("map-cell").hidden = !drawable;
  if (!drawable) {
    $("map-said").textContent = board.axes.length < 2 ? "A map needs two axes: the leaderboard tells all of this study." : "Choose two different axes.";
    return;
  }
  grid = cells();
  const { x, y, best, values } = grid;
  const z = y.levels.map((_, j) => x.levels.map((_, i) => {
    const k = best.get(`${i},${j}`);
    return k === undefined ? null : values[k];
  }));
  const flat = z.flat().filter((v) => v !== null).sort((a, b) => a - b);
  const share = (p) => flat[Math.min(flat.length - 1, Math.max(0, Math.round(p * (flat.length - 1))))];
  $("map-said").textContent = flat.length
    ? `Each cell is its best configuration by ${board.about[board.objective].heading}; colours end at the 2nd and 98th percentile. ★ chosen, ○ shown above.`
    : `No configuration has a ${board.about[$("colour").value].heading}: there is nothing to colour.`;
  let [low, high] = [share(0.02), share(0.98)];
  const both = low < 0 && high > 0;
  if (both) { high = Math.max(-low, high); low = -high; }
  const ticks = (axis, longest, most) => {
    const by = Math.ceil(axis.levels.length / most), kept = axis.levels.map((_, k) => k).filter((k) => k % by === 0);
    const text = (v) => { const whole = String(v ?? "–"); return inPlot(whole.length > longest ? `${whole.slice(0, longest - 1)}…` : whole); };
    return {
      tickvals: kept, ticktext: kept.map((k) => text(axis.levels[k])),
      title: { text: text(axis.name) }, showgrid: false, zeroline: false,
    };
  };
  const gap = Math.max(x.levels.length, y.levels.length) > 60 ? 0 : 2;
  const names = y.levels.map((b) => x.levels.map((a) => inPlot(`${x.name} ${a ?? "–"}, ${y.name} ${b ?? "–"}`.slice(0, 160))));
  Plotly.react("map", [{
    type: "heatmap", z, x: x.levels.map((_, k) => k), y: y.levels.map((_, k) => k), zmin: low, zmax: high,
    colorscale: both ? diverging() : sequential(), text: names,
    xgap: gap, ygap: gap, hovertemplate: "%{text}<br>%{z:.4g}<extra></extra>", colorbar: { thickness: 10, outlinewidth: 0 },
  }], layout({ xaxis: ticks(x, 18, $("map").clientWidth < 480 && x.levels.length > 6 ? 6 : 12), yaxis: ticks(y, 22, 12), showlegend: false, ...marked(), margin: { l: 60, r: 12, t: 10, b: 46 } }), PLOT);
  $("map").removeAllListeners?.("plotly_click");
  $("map").on("plotly_click", (event) => pickCell(event.points[0].x, event.points[0].y));
}

const day = (id, add) => ($(id).value ? Date.parse(`${$(id).value}T00:00:00Z`) * 1000 + add : null);
const asked = (more) => ({
  study: at.study, config_id: at.board.ids[at.row], symbol: nameOf(at.row),
  from: day("from", 0), to: day("to", 86400e6), params: { ...change.params }, execution: { ...change.execution },
  overlays: { ...change.overlays }, ...more,
});
async function pick(k) {
  if (!okay(k)) throw new Error(`this backtest failed: ${at.board.error.levels[at.board.error.codes[k]]}`);
  at.row = k;
  at.turn += 1;
  waiting = null;
  change = { params: {}, execution: {}, overlays: {} };
  say(null);
  $("kept").textContent = "";
  $("added").hidden = true;
  closeTest();
  mark();
  if (grid) Plotly.relayout("map", marked());
  const turn = at.turn;
  const base = await run(asked());
  if (turn !== at.turn) return;
  at.base = base;
  sliders();
  await show(base);
}
function sliders() {
  const home = $("sliders");
  home.replaceChildren();
  let part = "";
  at.board.controls.forEach((one, place) => {
    if (one.section !== part) { part = one.section; home.append(make("p", SECTIONS[part], "part")); }
    const first = at.base.values[one.section][one.name] ?? null;
    const line = make("div", undefined, "slider"), range = make("input"), box = make("input"), on = make("input"), percent = inPercent(one.name, at.base.settings);
    const title = make("label", words(one.name) + (percent ? ", %" : ""));
    // of a cost the slider and its number are in percent, what is asked for is the fraction
    const out = (value) => (percent && value !== null ? hundred(value) : value), back = (text) => (percent ? Number((Number(text) / 100).toPrecision(12)) : Number(text));
    const low = Math.min(one.low, first ?? one.low), high = Math.max(one.high, first ?? one.high);
    Object.assign(range, { type: "range", min: out(low), max: out(high), step: out(one.step), value: out(first ?? low), name: one.name, id: `slider-${place}` });
    Object.assign(box, { type: "number", step: "any", value: out(first) ?? "", placeholder: one.off ? "off" : "" });
    Object.assign(on, { type: "checkbox", checked: first !== null, hidden: !one.off });
    title.htmlFor = range.id;
    title.title = one.name;
    box.setAttribute("aria-label", `${words(one.name)}, number`);
    on.setAttribute("aria-label", `${words(one.name)}, on`);
    const set = (value) => {
      if (value === first) delete change[one.section][one.name];
      else change[one.section][one.name] = value;
      line.classList.toggle("moved", value !== first);
      on.checked = value !== null;
      recompute();
    };
    range.oninput = () => { box.value = range.value; set(back(range.value)); };
    box.oninput = () => {
      if (box.value === "") { if (one.off) set(null); return; }
      range.value = box.value;
      set(back(box.value));
    };
    on.onchange = () => {
      if (on.checked) { box.value = range.value; set(back(range.value)); } else { box.value = ""; set(null); }
    };
    line.append(title, range, box, on);
    home.append(line);
  });
}
const moved = () => Object.values(change).some((part) => Object.keys(part).length);
/* one question at a time: while one is answered, only the newest waits */
async function recompute() {
  waiting = asked();
  if ($("test-metrics").children.length) closeTest();
  if (busy) return;
  busy = true;
  try {
    while (waiting) {
      const now = waiting, turn = at.turn;
      waiting = null;
      const told = await run(now).catch((error) => ({ error }));
      if (turn !== at.turn || waiting) continue;
      if (told.error) { say(told.error); continue; }
      say(null);
      $("kept").textContent = "";
      $("added").hidden = true;
      await show(told);
    }
  } finally { busy = false; }
}
const metricNames = (told) => [...new Set([at.board.objective, ...SHOWN, ...Object.keys(told.metrics)])].filter((name) => name in told.metrics);
const whatOf = (k) => at.board.axes.map((axis) => `${words(axis.name)} ${axisValue(axis, k) ?? "–"}`).join(", ") || at.board.ids[k];
/* lines and metrics at once; what takes another question once nothing moves */
async function show(told) {
  at.shown = told;
  $("title").textContent = $("title").title = `${nameOf(at.row)}: ${changed()}`;
  const badge = $("badge");
  badge.className = told.ranked ? "" : "never";
  badge.textContent = !moved() ? "As the study ran it, on its validate window."
    : told.ranked ? "Changed into another configuration of the study's grid."
    : "Never in the grid: the verdict does not know of this look. What is chosen by eye is chosen by trying; keep it, and it counts as a trial.";
  $("keep").disabled = told.ranked;
  $("reset").disabled = !moved();
  const lines = [], dated = $("from").value || $("to").value;
  if (moved() && at.base && !dated) lines.push({ name: "as it was", told: at.base, colour: GREY, width: 1.2 });
  lines.push({ name: moved() ? "changed" : "equity", told, colour: BLUE(), width: 1.6 });
  const drawn = drawLines("lines", lines, `${at.board.ids[at.row]} ${nameOf(at.row)} ${told.clock.name}`);
  const two = moved() && told.base;
  metricsTable($("metrics"), at.board.about, metricNames(told), two ? ["as it was", "changed"] : ["on validate"], two ? [told.base, told.metrics] : [told.metrics]);
  if (!moved()) $("worth").hidden = true;
  await drawn;
  requestAnimationFrame(() => setTimeout(() => performance.mark("whatif-shown")));
  clearTimeout(later);
  later = setTimeout(() => settle(asked()).catch(say), 150);
}
/* what is asked once nothing has moved for a moment: trades, what each change was worth, the comparison */
async function settle(now) {
  const turn = at.turn, stale = () => turn !== at.turn || waiting || busy;
  if (pins.length === 1) compare();
  trades.page = 0;
  await showTrades(now);
  if (stale() || !moved()) return;
  const told = await ask("worth", now);
  if (stale()) return;
  $("worth").hidden = false;
  $("worth-title").textContent = `What each change alone was worth (${at.board.about[at.board.objective].heading})`;
  worthTable($("worth-table"), at.board.about, at.board.objective, told);
}
async function showTrades(now) {
  const turn = at.turn, told = await ask("trades", { ...now, ...trades });
  if (turn !== at.turn) return;
  const last = Math.max(1, Math.ceil(told.count / 20));
  $("trades-page").textContent = told.count ? `page ${told.page + 1} of ${last}, ${number(told.count)} trades` : "No trade was closed.";
  $("trades-before").disabled = told.page === 0;
  $("trades-after").disabled = told.page + 1 >= last;
  $("trades").hidden = !told.count;
  tradesTable($("trades"), told, (column) => {
    Object.assign(trades, { down: column === trades.column ? !trades.down : column === "net", column, page: 0 });
    showTrades(asked()).catch(say);
  });
}
function turnTrades(by) {
  trades.page = Math.max(0, trades.page + by);
  showTrades(asked()).catch(say);
}

/* two that are pinned, or one and what is shown now */
function compare() {
  $("compared").hidden = !pins.length;
  $("pin").textContent = pins.length === 1 ? "Pin as the second" : "Pin to compare";
  if (!pins.length) return;
  const now = pins.length === 2 ? pins[1] : { name: `${nameOf(at.row)}: ${changed()}`, told: at.shown, live: true };
  const pair = [pins[0], now];
  $("pins").replaceChildren(...pair.map((one, k) => {
    const label = make("span", undefined, `pin pin-${k}`);
    label.append(make("b", k ? "B" : "A"), ` ${one.live ? `now shown, ${one.name}` : one.name} `);
    if (!one.live) {
      const button = make("button", "Unpin");
      button.type = "button";
      button.setAttribute("aria-label", `Unpin ${k ? "B" : "A"}`);
      button.onclick = () => { pins = pins.filter((other) => other !== one); compare(); };
      label.append(button);
    }
    return label;
  }));
  const [a, b] = pair.map((one) => one.told), name = at.board.objective;
  drawLines("both", [{ name: "A", told: a, colour: BLUE(), width: 1.6 }, { name: "B", told: b, colour: ORANGE(), width: 1.6 }], `${a.config_id} ${b.config_id}`);
  metricsTable($("sides"), at.board.about, metricNames(a).slice(0, 12), ["A", "B"], [a.metrics, b.metrics]);
  const by = difference(at.board.about, name, a.metrics[name], b.metrics[name]);
  const money = difference(at.board.about, "pnl_net", a.metrics.pnl_net, b.metrics.pnl_net);
  $("worth-said").textContent = `From A to B: ${at.board.about[name].heading} ${by.text}, net profit ${money.text}.`
    + (a.clock.name === b.clock.name ? "" : " The two ran on other bars or dates: part of the difference is the market's.");
  const rows = unlike(a.settings, b.settings);
  if (pair[0].symbol && nameOf(at.row) && pair[0].symbol !== (now.symbol || nameOf(at.row))) rows.unshift(["symbol", pair[0].symbol, now.symbol || nameOf(at.row)]);
  unlikeTable($("unlike"), rows.length ? rows : [["nothing", "–", "–"]], ["A", "B"]);
}
const changed = () => {
  const parts = Object.values(change).flatMap((part) => Object.entries(part).map(([name, value]) => `${words(name)} ${value === null ? "off" : setting(name, value, at.base.settings)}`));
  return whatOf(at.row) + (parts.length ? `; changed: ${parts.join(", ")}` : "");
};
$("pin").onclick = () => {
  if (pins.length === 2) pins = [];
  pins.push({ name: `${nameOf(at.row)}: ${changed()}`, symbol: nameOf(at.row), told: at.shown, asked: asked() });
  compare();
  $("compared").scrollIntoView({ block: "nearest" });
};

function closeTest() {
  $("test-sure").hidden = $("test-shown").hidden = true;
  $("test").disabled = false;
  $("test-metrics").replaceChildren();
  $("test-said").textContent = at.board.has_test
    ? "Closed. Nothing of it is read until you ask; each opening is recorded, and the verdict counts it."
    : "This study has no test window.";
}
$("test").onclick = () => { $("test-sure").hidden = false; $("test").disabled = true; $("test-sure").focus(); };
$("test-sure").onclick = async () => {
  try {
    $("test-sure").hidden = true;
    const told = await ask("test", asked());
    $("test-said").textContent = `Opened and recorded for configuration ${told.config_id}.`;
    $("test-shown").hidden = false;
    metricsTable($("test-metrics"), at.board.about, metricNames(told).slice(0, 10), ["on test"], [told.metrics]);
  } catch (error) { say(error); }
  $("test").disabled = false;
};
$("keep").onclick = async () => {
  try {
    $("keep").disabled = true;
    const told = await ask("keep", asked());
    $("kept").textContent = `Kept as ${told.config_id}: on the whole validate window a verdict now counts ${number(told.trials)} trials.`;
    $("badge").textContent = "Not in the study's grid, and kept: a trial that verdicts count.";
  } catch (error) { $("keep").disabled = false; say(error); }
};
$("save").onclick = async () => {
  try {
    $("save").disabled = true;
    const told = await ask("save", asked({ pins: pins.map((one) => ({ ...one.asked, name: one.name })) }));
    const link = Object.assign(make("a"), { href: URL.createObjectURL(new Blob([told.page], { type: "text/html" })), download: told.name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    $("kept").textContent = `Saved as ${told.name}: a page that opens anywhere, without the test window.`;
  } catch (error) { say(error); }
  $("save").disabled = false;
};
$("yaml").onclick = async () => {
  try {
    const told = await ask("lines", asked());
    $("added").hidden = false;
    $("added").textContent = told.lines || "Nothing is changed.";
  } catch (error) { say(error); }
};
$("reset").onclick = () => pick(at.row).catch(say);
for (const id of ["from", "to"]) $(id).onchange = () => recompute();
for (const id of ["across", "down", "colour"]) $(id).onchange = map;
$("symbol").onchange = () => { at.page = 0; sorted(); map(); };
$("before").onclick = () => { at.page -= 1; table(); };
$("after").onclick = () => { at.page += 1; table(); };
$("trades-before").onclick = () => turnTrades(-1);
$("trades-after").onclick = () => turnTrades(1);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (at.shown) { map(); show(at.shown).catch(say); compare(); } });
window.whatifReady = begin().catch(say);
