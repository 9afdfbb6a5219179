"use strict";
const $ = (id) => document.getElementById(id);
const DIVERGING = [[0, "#c0504a"], [0.25, "#e3a7a0"], [0.5, "#eceff1"], [0.75, "#94bbe6"], [1, "#2f6fc4"]];
const SEQUENTIAL = [[0, "#e9eef5"], [0.5, "#7fa9dc"], [1, "#1f4f96"]];
const PAGE = 50;
const SECTIONS = { params: "strategy", execution: "costs", overlays: "rules over the strategy" };
const SHOWN = ["pnl_net", "return_pct", "sharpe", "sortino", "max_drawdown_pct", "trades", "win_rate", "exposure", "fees"];
const at = { study: "", board: null, rows: [], row: -1, sort: null, down: true, page: 0, base: null, shown: null, turn: 0 };
let change = { params: {}, execution: {}, overlays: {} };
let waiting = null, busy = false;

const dark = () => matchMedia("(prefers-color-scheme: dark)").matches;
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const words = (name) => name.replaceAll("_", " ").replace(/ pct$/, " %");
const inPlot = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
function number(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number") return String(value);
  return digits(value).replace("-", "−");
}
function digits(value) {
  if (Number.isInteger(value)) return value.toLocaleString("en");
  const size = Math.abs(value);
  const places = size >= 1000 ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : 4;
  return value.toLocaleString("en", { minimumFractionDigits: places, maximumFractionDigits: places });
}
function make(tag, text, kind) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
}
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
  });
  const told = await answer.json().catch(() => ({ error: `the explorer answered ${answer.status}: is it still running?` }));
  if (!answer.ok) throw new Error(told.error);
  return told;
}

async function begin() {
  const { studies } = await ask("studies");
  if (!studies.length) { $("empty").hidden = false; $("empty").textContent = "This lake holds no backtest yet: run a study first, whatif run my-study.yaml"; return; }
  options($("study"), studies.map((one) => [one.name, one.known ? one.name : `${one.name} (give its file to open it)`]));
  const known = studies.find((one) => one.known);
  if (known) $("study").value = known.name;
  $("study").onchange = () => open().catch(say);
  await open();
}
async function open() {
  say(null);
  $("main").hidden = true;
  const asked = performance.now();
  const board = await ask("open", { study: $("study").value });
  Object.assign(at, { study: board.study, board, sort: board.objective, down: !board.lower, page: 0, row: -1 });
  options($("symbol"), [["", "all"], ...board.symbol.levels.map((name) => [name, name])]);
  options($("across"), board.axes.map((axis) => [axis.name, axis.name]), board.axes[0] && board.axes[0].name);
  options($("down"), board.axes.map((axis) => [axis.name, axis.name]), board.axes.length > 1 ? board.axes[1].name : undefined);
  options($("colour"), Object.keys(board.metrics).map((name) => [name, words(name)]), board.objective);
  $("test").hidden = !board.has_test;
  $("said").textContent = `${board.ids.length.toLocaleString("en")} rows, ${number(board.trials)} trials counted, opened in ${Math.round(performance.now() - asked)} ms`;
  $("from").value = $("to").value = "";
  for (const [name, us] of [["min", board.window[0]], ["max", board.window[1] - 1]]) {
    const day = new Date(us / 1000).toISOString().slice(0, 10);
    $("from")[name] = $("to")[name] = day;
  }
  const failed = board.status.levels.map((text, k) => [text, k]).filter(([text]) => text === "ok").length === 0;
  $("empty").hidden = !failed;
  if (failed) $("empty").textContent = `Every backtest of this study failed: ${board.error.levels.filter(Boolean).slice(0, 3).join("; ")}`;
  $("main").hidden = false;
  sorted();
  map();
  if (failed) return;
  const first = board.chosen ? board.ids.findIndex((id, k) => id === board.chosen[0] && nameOf(k) === board.chosen[1]) : at.rows[0];
  await pick(first < 0 ? at.rows[0] : first);
}
const nameOf = (k) => at.board.symbol.levels[at.board.symbol.codes[k]];
const okay = (k) => at.board.status.levels[at.board.status.codes[k]] === "ok";
const axisValue = (axis, k) => axis.levels[axis.codes[k]];

function sorted() {
  const { board } = at;
  const axis = board.axes.find((one) => one.name === at.sort);
  const key = axis ? axis.codes : board.metrics[at.sort];
  const wanted = $("symbol").value;
  at.rows = [...board.ids.keys()].filter((k) => !wanted || nameOf(k) === wanted);
  at.rows.sort((a, b) => {
    if (key[a] === null || key[b] === null) return (key[a] === null) - (key[b] === null) || a - b;
    return (at.down ? key[b] - key[a] : key[a] - key[b]) || a - b;
  });
  table();
}
function table() {
  const { board } = at;
  const metrics = [...new Set([board.objective, ...SHOWN])].filter((name) => name in board.metrics);
  const head = make("tr");
  head.append(make("th", "symbol"));
  for (const name of [...board.axes.map((axis) => axis.name), ...metrics]) {
    const cell = make("th"), button = make("button", words(name) + (name === at.sort ? (at.down ? " ↓" : " ↑") : ""));
    button.onclick = () => { at.down = name === at.sort ? !at.down : true; at.sort = name; at.page = 0; sorted(); };
    cell.append(button);
    head.append(cell);
  }
  const body = make("tbody");
  for (const k of at.rows.slice(at.page * PAGE, (at.page + 1) * PAGE)) {
    const row = make("tr");
    row.tabIndex = 0;
    const chosen = board.chosen && board.ids[k] === board.chosen[0] && nameOf(k) === board.chosen[1];
    row.className = `${k === at.row ? "picked" : ""} ${chosen ? "chosen" : ""}`;
    const texts = [nameOf(k), ...board.axes.map((axis) => axisValue(axis, k)), ...metrics.map((name) => board.metrics[name][k])];
    texts.forEach((text, column) => {
      const cell = make("td", column > board.axes.length ? number(text) : text === null ? "–" : String(text));
      cell.title = cell.textContent;
      row.append(cell);
    });
    if (!okay(k)) { row.title = board.error.levels[board.error.codes[k]] || "failed"; row.classList.add("bad"); }
    row.onclick = () => pick(k).catch(say);
    row.onkeydown = (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); row.click(); } };
    body.append(row);
  }
  const top = make("thead");
  top.append(head);
  $("board").replaceChildren(top, body);
  const last = Math.max(1, Math.ceil(at.rows.length / PAGE));
  $("page").textContent = `page ${at.page + 1} of ${last}`;
  $("before").disabled = at.page === 0;
  $("after").disabled = at.page + 1 >= last;
}

function layout(more) {
  const line = dark() ? "rgba(255,255,255,.12)" : "rgba(0,0,0,.1)";
  const axis = { gridcolor: line, zerolinecolor: line, automargin: true };
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: true,
    font: { color: colour("--ink"), family: "system-ui, sans-serif", size: 12 },
    margin: { l: 60, r: 12, t: 10, b: 34 }, legend: { orientation: "h", y: 1.1, x: 0 },
    ...more, xaxis: { ...axis, ...more.xaxis }, yaxis: { ...axis, ...more.yaxis },
    ...(more.yaxis2 ? { yaxis2: { ...axis, ...more.yaxis2 } } : {}),
  };
}
const PLOT = { displayModeBar: false, responsive: true };

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
function map() {
  const { board } = at;
  $("map").hidden = board.axes.length < 2;
  if ($("map").hidden) { $("map-said").textContent = "A map needs two axes: the leaderboard tells all of this study."; return; }
  const { x, y, best, values } = cells();
  const same = x === y;
  const z = y.levels.map((_, j) => x.levels.map((_, i) => {
    const k = best.get(`${i},${j}`);
    return k === undefined ? null : values[k];
  }));
  const flat = z.flat().filter((v) => v !== null).sort((a, b) => a - b);
  const share = (p) => flat[Math.min(flat.length - 1, Math.max(0, Math.round(p * (flat.length - 1))))];
  $("map-said").textContent = same
    ? "Choose two different axes."
    : `Each cell is its best configuration by ${words(board.objective)}; colours end at the 2nd and 98th percentile. ★ chosen, ○ shown above.`;
  let [low, high] = [share(0.02), share(0.98)];
  const both = low < 0 && high > 0;
  if (both) { high = Math.max(-low, high); low = -high; }
  const marks = [];
  const cellOf = (k) => [x.codes[k], y.codes[k]];
  const chosen = board.chosen ? board.ids.findIndex((id, k) => id === board.chosen[0] && nameOf(k) === board.chosen[1]) : -1;
  for (const [k, text] of [[chosen, "★"], [at.row, "○"]]) {
    if (k < 0) continue;
    const [i, j] = cellOf(k);
    marks.push({ x: i, y: j, text, showarrow: false, font: { size: 18, color: "#111" }, xshift: text === "○" ? 12 : -6 });
  }
  const ticks = (axis) => ({
    tickvals: axis.levels.map((_, k) => k).filter((k) => k % Math.ceil(axis.levels.length / 12) === 0),
    ticktext: axis.levels.filter((_, k) => k % Math.ceil(axis.levels.length / 12) === 0).map((v) => inPlot(String(v).slice(0, 28))),
    title: { text: inPlot(axis.name) }, showgrid: false, zeroline: false,
  });
  Plotly.react("map", [{
    type: "heatmap", z, x: x.levels.map((_, k) => k), y: y.levels.map((_, k) => k), zmin: low, zmax: high,
    colorscale: both ? DIVERGING : SEQUENTIAL,
    xgap: 2, ygap: 2, hovertemplate: "%{z:.4g}<extra></extra>", colorbar: { thickness: 10, outlinewidth: 0 },
  }], layout({ xaxis: ticks(x), yaxis: ticks(y), showlegend: false, annotations: marks, margin: { l: 60, r: 12, t: 10, b: 46 } }), PLOT);
  $("map").removeAllListeners?.("plotly_click");
  $("map").on("plotly_click", (event) => {
    const k = best.get(`${event.points[0].x},${event.points[0].y}`);
    if (k !== undefined) pick(k).catch(say);
  });
}

const day = (id, add) => ($(id).value ? Date.parse(`${$(id).value}T00:00:00Z`) * 1000 + add : null);
const asked = (more) => ({
  study: at.study, config_id: at.board.ids[at.row], symbol: nameOf(at.row),
  from: day("from", 0), to: day("to", 86400e6), ...change, ...more,
});
async function pick(k) {
  at.row = k;
  at.turn += 1;
  waiting = null;
  change = { params: {}, execution: {}, overlays: {} };
  say(null);
  $("kept").textContent = "";
  $("added").hidden = true;
  closeTest();
  table();
  map();
  if (!okay(k)) throw new Error(`this backtest failed: ${at.board.error.levels[at.board.error.codes[k]]}`);
  const turn = at.turn;
  const base = await ask("run", asked());
  if (turn !== at.turn) return;
  at.base = base;
  sliders();
  show(base);
}
function sliders() {
  const home = $("sliders");
  home.replaceChildren();
  let part = "";
  for (const one of at.board.controls) {
    if (one.section !== part) { part = one.section; home.append(make("p", SECTIONS[part], "part")); }
    const first = at.base.values[one.section][one.name] ?? null;
    const line = make("label", undefined, "slider"), range = make("input"), box = make("input"), on = make("input");
    const low = Math.min(one.low, first ?? one.low), high = Math.max(one.high, first ?? one.high);
    Object.assign(range, { type: "range", min: low, max: high, step: one.step, value: first ?? low, name: one.name });
    Object.assign(box, { type: "number", step: "any", value: first ?? "", placeholder: "off" });
    Object.assign(on, { type: "checkbox", checked: first !== null, hidden: !one.off });
    for (const input of [range, box, on]) input.setAttribute("aria-label", words(one.name));
    const set = (value) => {
      if (value === first) delete change[one.section][one.name];
      else change[one.section][one.name] = value;
      line.classList.toggle("moved", value !== first);
      on.checked = value !== null;
      recompute();
    };
    range.oninput = () => { box.value = range.value; set(Number(range.value)); };
    box.oninput = () => {
      if (box.value === "") { if (one.off) set(null); return; }
      range.value = box.value;
      set(Number(box.value));
    };
    on.onchange = () => {
      if (on.checked) { box.value = range.value; set(Number(range.value)); } else { box.value = ""; set(null); }
    };
    line.append(make("span", words(one.name)), range, box, on);
    home.append(line);
  }
}
const moved = () => Object.values(change).some((part) => Object.keys(part).length);
/* one question at a time: while one is answered, only the newest waits */
async function recompute() {
  waiting = asked({ worth: true });
  if ($("test-metrics").children.length) closeTest();
  if (busy) return;
  busy = true;
  try {
    while (waiting) {
      const now = waiting, turn = at.turn;
      waiting = null;
      const told = await ask("run", now).catch((error) => ({ error }));
      if (turn !== at.turn || waiting) continue;
      if (told.error) { say(told.error); continue; }
      say(null);
      $("kept").textContent = "";
      $("added").hidden = true;
      show(told);
    }
  } finally { busy = false; }
}
function show(told) {
  at.shown = told;
  const { board } = at;
  $("title").textContent = `${nameOf(at.row)}: ${board.axes.map((axis) => `${axis.name} ${axisValue(axis, at.row) ?? "–"}`).join(", ") || board.ids[at.row]}`;
  const badge = $("badge");
  badge.className = told.ranked ? "" : "never";
  badge.textContent = !moved() ? "As the study ran it, on its validate window."
    : told.ranked ? "Changed into another configuration of the study's grid."
    : "Never in the grid: the verdict does not know of this look. What is chosen by eye is chosen by trying; keep it, and it counts as a trial.";
  $("keep").disabled = told.ranked;
  const time = (ms) => ms.map((one) => new Date(one));
  const own = { x: time(told.ts), mode: "lines", hovertemplate: "%{x|%d %b %Y %H:%M} UTC<br>%{y:,.2f}<extra></extra>" };
  const blue = dark() ? "#7fb0f2" : "#2a69c0";
  const drawn = [];
  if (moved() && at.base && !$("from").value && !$("to").value) drawn.push({ ...own, x: time(at.base.ts), y: at.base.equity, name: "as it was", line: { color: "#8b919b", width: 1.2 } });
  drawn.push({ ...own, y: told.equity, name: moved() ? "changed" : "equity", line: { color: blue, width: 1.6 } });
  drawn.push({ ...own, y: told.drawdown, yaxis: "y2", name: "drawdown %", fill: "tozeroy", line: { color: "#d0574f", width: 1 }, fillcolor: "rgba(208,87,79,.2)" });
  Plotly.react("lines", drawn, layout({
    margin: { l: 66, r: 12, t: 10, b: 34 },
    yaxis: { domain: [0.3, 1], title: { text: "equity" } }, yaxis2: { domain: [0, 0.24], title: { text: "drawdown %" } },
    xaxis: { anchor: "y2", type: "date" }, uirevision: at.board.ids[at.row],
  }), PLOT);
  metrics($("metrics"), moved() && told.base ? told.base : null, told.metrics);
  worth(told);
}
function metrics(home, before, after) {
  const names = [...new Set([at.board.objective, ...SHOWN, ...Object.keys(after)])].filter((name) => name in after);
  const head = make("tr");
  for (const text of before ? ["", "as it was", "changed"] : ["", ""]) head.append(make("th", text));
  home.replaceChildren(head, ...names.slice(0, 14).map((name) => {
    const row = make("tr");
    row.append(make("td", words(name)));
    if (before) row.append(make("td", number(before[name])));
    row.append(make("td", number(after[name]), before && before[name] !== after[name] ? "moved" : ""));
    return row;
  }));
}
function worth(told) {
  const home = $("worth"), name = at.board.objective;
  home.replaceChildren();
  if (!told.worth || !Object.keys(told.worth).length) return;
  home.append(make("h3", `What each change alone was worth (${words(name)})`));
  const list = make("table");
  for (const [what, found] of Object.entries(told.worth)) {
    const row = make("tr"), differs = (found[name] ?? NaN) - (told.base[name] ?? NaN);
    const good = at.board.lower ? differs < 0 : differs > 0;
    row.append(make("td", words(what.split(".")[1])));
    row.append(make("td", found.error || (Number.isFinite(differs) ? (differs > 0 ? "+" : "") + number(differs) : "–"), differs === 0 ? "" : good ? "good" : "bad"));
    list.append(row);
  }
  home.append(list);
}
function closeTest() {
  $("test-sure").hidden = true;
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
    metrics($("test-metrics"), null, told.metrics);
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
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (at.shown) { map(); show(at.shown); } });
window.whatifReady = begin().catch(say);
