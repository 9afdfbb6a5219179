"use strict";
const $ = (id) => document.getElementById(id);
const dark = () => matchMedia("(prefers-color-scheme: dark)").matches;
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const words = (name) => name.replaceAll("_", " ").replace(/ pct$/, " %");
const inPlot = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
const PLOT = { displayModeBar: false, responsive: true, showSendToCloud: false, plotlyServerURL: "" };
const SHOWN = ["return_pct", "sharpe", "sortino", "max_drawdown_pct", "pnl_net", "costs", "trades", "win_rate", "profit_factor", "exposure"];
const BLUE = () => (dark() ? "#7fb0f2" : "#2a69c0"), ORANGE = () => (dark() ? "#f0b35e" : "#b8650a"), GREY = "#8b919b";
const EXITS = {
  target: "target", stop: "stop", trailing_stop: "trailing stop", time: "held long enough", session: "session's end",
  universe: "left the universe", reversal: "other side opened", step: "strategy", window_end: "window's end", "": "–",
};

/* costs are fractions of what is traded, and said in percent; a commission of money for each unit is said as it is */
const inPercent = (name, settings) => name === "slippage" || (name === "commission" && settings.commtype !== "fixed");
const hundred = (value) => Number((100 * value).toPrecision(12));
function setting(name, value, settings) {
  if (!inPercent(name, settings) || typeof value !== "number") return number(value);
  return `${hundred(value).toLocaleString("en", { maximumFractionDigits: 10 }).replace("-", "−")} %`;
}

function make(tag, text, kind) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
}
function number(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value)) return value.toLocaleString("en").replace("-", "−");
  const size = Math.abs(value);
  const places = size >= 1000 ? 0 : size >= 0.01 ? 2 : Math.min(6, 1 - Math.floor(Math.log10(size)));
  return value.toLocaleString("en", { minimumFractionDigits: places, maximumFractionDigits: places }).replace("-", "−");
}
/* a metric's value, in the unit of its heading */
function metric(about, name, value) {
  if (value === null || value === undefined) return "–";
  const kind = about[name] && about[name].kind;
  if (kind === "flag") return value ? "yes" : "no";
  if (kind === "fraction") return (Math.round(1000 * value) / 10 + 0).toFixed(1).replace("-", "−"); // + 0: no sign before a zero
  if (kind === "percent" && Math.abs(value) >= 0.005) return number(Math.round(value * 100) / 100);
  return kind === "money" && !Number.isInteger(value) ? number(Math.round(value * 100) / 100 + 0) : number(value);
}
/* one metric less another; a flag has no difference */
function difference(about, name, before, after) {
  const by = Number.isFinite(before) && Number.isFinite(after) ? after - before : NaN;
  if (!Number.isFinite(by) || (about[name] && about[name].kind === "flag")) return { text: "–", kind: "" };
  if (by === 0) return { text: "0", kind: "" };
  const text = metric(about, name, by), plain = name === "trades" || /^[−0.]*$/.test(text);
  return { text: (by > 0 ? "+" : "") + text, kind: plain ? "" : by > 0 === !(about[name] && about[name].less) ? "good" : "bad" };
}
const two = (value) => String(value).padStart(2, "0");
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const dayOf = (ms) => { const d = new Date(ms); return `${d.getUTCDate()} ${MONTHS[d.getUTCMonth()]}`; };
const timeOf = (ms) => { const d = new Date(ms); return `${two(d.getUTCHours())}:${two(d.getUTCMinutes())}`; };
const yearOf = (ms) => new Date(ms).getUTCFullYear();
const moment = (ms) => `${dayOf(ms)} ${yearOf(ms)} ${timeOf(ms)}`;

/* time in which anything traded: sessions side by side, nights and weekends as a gap of a hair */
function clockOf(clocks) {
  const step = Math.max(1, ...clocks.map((one) => one.step)), spans = [];
  const all = clocks.flatMap((one) => one.first.map((from, k) => [from, one.last[k]])).sort((a, b) => a[0] - b[0]);
  for (const [from, to] of all) {
    const before = spans.at(-1);
    if (before && from <= before[1] + step) before[1] = Math.max(before[1], to); else spans.push([from, to]);
  }
  const total = spans.reduce((sum, [from, to]) => sum + to - from + step, 0);
  const gap = spans.length > 150 ? 0 : (0.12 * total) / Math.max(1, spans.length), starts = [];
  let end = 0;
  for (const [from, to] of spans) { starts.push(end); end += to - from + step + gap; }
  return { spans, starts, gap, end: end - gap };
}
/* where times stand on a clock; a missing point between two sessions ends the line */
function placed(clock, ts) {
  const x = [], rows = [], times = [];
  let span = 0, before = -1;
  ts.forEach((ms, row) => {
    while (span + 1 < clock.spans.length && ms >= clock.spans[span + 1][0]) span += 1;
    if (clock.gap && before >= 0 && span !== before) { x.push(null); rows.push(-1); times.push(null); }
    x.push(clock.starts[span] + ms - clock.spans[span][0]);
    rows.push(row);
    times.push(ms);
    before = span;
  });
  return { x, times, of: (values) => rows.map((row) => (row < 0 ? null : values[row])) };
}
function ticks(clock, range, most) {
  const [low, high] = range || [0, clock.end], values = [], texts = [];
  const inside = clock.starts.map((_, k) => k).filter((k) => clock.starts[k] + clock.spans[k][1] - clock.spans[k][0] >= low && clock.starts[k] <= high);
  const add = (x, ms, days) => {
    if (x < low || x > high) return;
    const year = values.length === 0 || yearOf(ms) !== add.year;
    values.push(x);
    texts.push(days ? dayOf(ms) + (year ? `<br>${yearOf(ms)}` : "") : timeOf(ms) + (values.length === 1 || dayOf(ms) !== add.day ? `<br>${dayOf(ms)}` : ""));
    add.year = yearOf(ms);
    add.day = dayOf(ms);
  };
  if (inside.length > 3) {
    const by = Math.ceil(inside.length / most);
    inside.filter((_, n) => n % by === 0).forEach((k) => add(clock.starts[k], clock.spans[k][0], true));
    return { tickvals: values, ticktext: texts };
  }
  const minutes = [1, 2, 5, 10, 15, 30, 60, 120, 240, 1440, 10080, 43200, 129600, 525600];
  const every = (minutes.find((one) => (high - low) / one / 60000 <= most) || 1051200) * 60000;
  for (const k of inside) {
    const [from, to] = clock.spans[k];
    const first = Math.max(from, from + low - clock.starts[k]), last = Math.min(to, from + high - clock.starts[k]);
    for (let ms = Math.ceil(first / every) * every; ms <= last; ms += every) add(clock.starts[k] + ms - from, ms, every >= 86400000);
  }
  return { tickvals: values, ticktext: texts };
}

function layout(more) {
  const line = dark() ? "rgba(255,255,255,.12)" : "rgba(0,0,0,.1)";
  const axis = { gridcolor: line, zerolinecolor: line, automargin: true };
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: true,
    font: { color: colour("--ink"), family: "system-ui, sans-serif", size: 12 },
    hoverlabel: { bgcolor: colour("--card"), bordercolor: colour("--line"), font: { color: colour("--ink") } },
    margin: { l: 60, r: 12, t: 10, b: 34 }, legend: { orientation: "h", y: 1.1, x: 0 },
    ...more, xaxis: { ...axis, ...more.xaxis }, yaxis: { ...axis, ...more.yaxis },
    ...(more.yaxis2 ? { yaxis2: { ...axis, ...more.yaxis2 } } : {}),
  };
}
/* the accounts of some runs over how far each is below its peak; lines are {name, told, colour, width} */
function drawLines(id, lines, revision) {
  const home = $(id), clock = clockOf(lines.map((one) => one.told.clock)), drawn = [];
  const most = () => Math.max(2, Math.min(8, Math.floor((home.clientWidth - 84) / 70)));
  if (home.whatifRevision !== revision) home.whatifRange = null;
  home.whatifRevision = revision;
  home.whatifClock = clock;
  for (const { name, told, colour: ink, width } of lines) {
    const at = placed(clock, told.ts);
    const own = { x: at.x, customdata: at.times, mode: "lines", type: "scatter", connectgaps: false, legendgroup: name, line: { color: ink, width } };
    drawn.push({ ...own, y: at.of(told.equity), name: inPlot(name), hovertemplate: "%{customdata|%d %b %Y %H:%M} UTC<br>%{y:,.2f}<extra></extra>" });
    const last = lines.length === 1 ? { fill: "tozeroy", fillcolor: "rgba(208,87,79,.2)", line: { color: "#d0574f", width: 1 } } : { line: { color: ink, width: Math.min(1, width) } };
    drawn.push({ ...own, y: at.of(told.drawdown), yaxis: "y2", name: "drawdown %", showlegend: lines.length === 1, hovertemplate: "%{customdata|%d %b %Y %H:%M} UTC<br>%{y:.2f} %<extra></extra>", ...last });
  }
  // names of the two axes stand inside the panes: beside them they would lie on the labels
  const narrow = home.clientWidth < 480, said = (text, y, yanchor) => ({ text, x: 0.01, y, xref: "paper", yref: "paper", xanchor: "left", yanchor, showarrow: false, font: { size: 11, color: colour("--muted") } });
  const made = Plotly.react(home, drawn, layout({
    // automatic margins would lay the figure out twice at each move of a slider: a third of its time
    margin: { l: narrow ? 52 : 60, r: 12, t: 10, b: 40 }, uirevision: revision,
    annotations: [said("equity", 1, "top"), said("drawdown %", 0.24, "bottom")],
    yaxis: { domain: [0.3, 1], automargin: false },
    yaxis2: { domain: [0, 0.24], automargin: false },
    xaxis: { anchor: "y2", automargin: false, showgrid: true, zeroline: false, tickangle: 0, ...ticks(clock, home.whatifRange, most()) },
  }), PLOT);
  if (!home.whatifZoomed) {
    home.whatifZoomed = true;
    home.on("plotly_relayout", (event) => {
      const moved = "xaxis.range[0]" in event, whole = event["xaxis.autorange"];
      if (!moved && !whole) return;
      home.whatifRange = moved ? [event["xaxis.range[0]"], event["xaxis.range[1]"]] : null;
      const { tickvals, ticktext } = ticks(home.whatifClock, home.whatifRange, most());
      Plotly.relayout(home, { "xaxis.tickvals": tickvals, "xaxis.ticktext": ticktext });
    });
  }
  return made;
}
/* a table of metrics: of one run, or of two side by side with what lies between them */
function metricsTable(home, about, names, heads, runs) {
  const head = make("tr"), top = make("thead"), body = make("tbody");
  const shown = runs.length === 2 ? [...heads, "difference"] : heads;
  head.append(make("td"), ...shown.map((text) => Object.assign(make("th", text), { scope: "col" })));
  top.append(head);
  for (const name of names) {
    const row = make("tr"), title = make("th", about[name] ? about[name].heading : words(name));
    title.scope = "row";
    if (about[name]) title.title = about[name].meaning;
    row.append(title, ...runs.map((run) => make("td", metric(about, name, run[name]))));
    if (runs.length === 2) {
      const by = difference(about, name, runs[0][name], runs[1][name]);
      row.append(make("td", by.text, by.kind));
    }
    body.append(row);
  }
  home.replaceChildren(top, body);
}
/* what two runs do not have alike: names, and both values */
function unlike(before, after) {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter((name) => before[name] !== after[name]);
  return names.map((name) => [words(name), ...[before, after].map((one) => (name in one ? setting(name, one[name], one) : "off"))]);
}
function unlikeTable(home, rows, heads) {
  const head = make("tr"), top = make("thead"), body = make("tbody");
  head.append(make("td"), ...heads.map((text) => Object.assign(make("th", text), { scope: "col" })));
  top.append(head);
  body.append(...rows.map(([name, ...values]) => {
    const row = make("tr");
    row.append(Object.assign(make("th", name), { scope: "row" }), ...values.map((value) => make("td", value)));
    return row;
  }));
  home.replaceChildren(top, body);
}
/* what each change alone was worth, by one metric */
function worthTable(home, about, name, told) {
  const body = make("tbody");
  for (const [what, found] of Object.entries(told.worth)) {
    const row = make("tr"), by = found.error ? { text: found.error, kind: "bad" } : difference(about, name, told.base[name], found[name]);
    row.append(Object.assign(make("th", words(what.split(".")[1])), { scope: "row" }), make("td", by.text, by.kind));
    body.append(row);
  }
  home.replaceChildren(body);
}
const TRADES = { opened: "opened, UTC", closed: "closed, UTC", size: "size", entry: "entry", exit: "exit", net: "net profit", bars: "bars held", reason: "left by" };
const MINOR_OF_TRADES = new Set(["closed", "reason"]); // told by other columns, where there is little room
function tradesTable(home, told, sort) {
  const names = [...(new Set(told.symbol).size > 1 ? ["symbol"] : []), ...Object.keys(TRADES)].filter((name) => name !== "reason" || told.reason.some(Boolean));
  const head = make("tr"), top = make("thead"), body = make("tbody");
  for (const name of names) {
    const cell = Object.assign(make("th"), { scope: "col", className: MINOR_OF_TRADES.has(name) ? "wide" : "" }), title = TRADES[name] || name;
    if (sort) {
      const button = make("button", title);
      button.type = "button";
      button.onclick = () => sort(name);
      cell.append(button);
      if (told.column === name) cell.setAttribute("aria-sort", told.down ? "descending" : "ascending");
    } else cell.textContent = title;
    head.append(cell);
  }
  top.append(head);
  const text = { opened: moment, closed: moment, reason: (one) => EXITS[one] ?? one };
  told.closed.forEach((_, k) => {
    const row = make("tr");
    for (const name of names) {
      const kind = name === "net" ? (told.net[k] > 0 ? "good" : told.net[k] < 0 ? "bad" : "") : MINOR_OF_TRADES.has(name) ? "wide" : "";
      row.append(make("td", (text[name] || number)(told[name][k]), kind));
    }
    body.append(row);
  });
  home.replaceChildren(top, body);
}
