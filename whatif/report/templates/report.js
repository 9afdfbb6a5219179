"use strict";
(() => {
  const payload = JSON.parse(document.getElementById("payload").textContent);
  const board = payload.board;
  const $ = (id) => document.getElementById(id);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  // plotly.js would offer to send charts to its maker's cloud; this page sends nothing anywhere.
  const narrow = window.innerWidth < 640;
  const config = { responsive: true, displaylogo: false, showSendToCloud: false, plotlyServerURL: "", displayModeBar: narrow ? false : "hover", doubleClick: "reset", modeBarButtonsToRemove: ["select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d"], toImageButtonOptions: { format: "png", scale: 2 } };

  const still = { ...config, displayModeBar: false };

  // --- numbers -----------------------------------------------------------------------------------
  function unpack(text, Kind) {
    const raw = atob(text), bytes = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
    return new Kind(bytes.buffer);
  }

  // The same rule as columns.format_number: a row must not change its digits when it is sorted.
  function format(value, kind) {
    if (value === null || value === undefined || Number.isNaN(value)) return "–";
    if (kind === "flag") return value ? "yes" : "no";
    if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
    const scaled = kind === "fraction" ? value * 100 : value, size = Math.abs(scaled);
    let decimals = 2;
    if (kind === "count" || size >= 1000) decimals = 0;
    else if (kind === "fraction") decimals = 1;
    else if (size !== 0 && size < 0.01 && kind !== "money") decimals = Math.min(4, 1 - Math.floor(Math.log10(size)));
    const [whole, part] = size.toFixed(decimals).split(".");
    const text = whole.replace(/\B(?=(\d{3})+(?!\d))/g, ",") + (part ? "." + part : "");
    return scaled < 0 && /[1-9]/.test(text) ? "−" + text : text;
  }
  window.whatifFormat = format;

  const escaped = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const count = (n) => n.toLocaleString("en-US");

  // --- the leaderboard's columns -----------------------------------------------------------------
  const n = board.rows;
  const sample = unpack(board.sample, Int32Array);
  const rank = board.rank ? unpack(board.rank, Float64Array) : Float64Array.from({ length: n }, (_, i) => i + 1);
  const coded = (column) => ({ levels: column.levels, codes: unpack(column.codes, Int32Array) });
  const texts = Object.fromEntries(Object.entries(board.texts).map(([name, column]) => [name, coded(column)]));
  const axes = board.axes.map((axis) => ({ name: axis.name, ...coded(axis), bins: axis.bins && coded(axis.bins) }));
  const metrics = board.metrics.map((m) => ({ ...m, values: unpack(m.values, Float64Array) }));
  const byKey = Object.fromEntries(metrics.map((m) => [m.key, m]));
  const text = (name, i) => (texts[name] ? texts[name].levels[texts[name].codes[i]] : "");
  const ok = (i) => text("status", i) === "ok";

  // --- leaderboard: sort and filter --------------------------------------------------------------
  let sorted = { key: null, down: false };
  let haystacks = null;

  function haystack(i) {
    const pairs = axes.map((a) => `${a.name}=${a.levels[a.codes[i]]}`.toLowerCase());
    const symbol = text("symbol", i);
    return { exact: new Set([...pairs, `symbol=${symbol}`.toLowerCase()]), all: [symbol, board.ids[i], text("error", i), ...pairs].join(" ").toLowerCase() };
  }

  function matching() {
    const words = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const status = $("status").value;
    if (words.length && !haystacks) haystacks = Array.from({ length: n }, (_, i) => haystack(i));
    const found = [];
    for (let i = 0; i < n; i++) {
      if (status && (status === "ok") !== ok(i)) continue;
      if (words.every((w) => haystacks[i].exact.has(w) || (!pairs.has(w) && haystacks[i].all.includes(w)))) found.push(i);
    }
    return found;
  }

  // "fast=5" means five, not fifty; only what is not a whole name=value may match in part.
  const pairs = new Set(axes.flatMap((a) => a.levels.map((level) => `${a.name}=${level}`.toLowerCase())));

  function sortValue(key) {
    if (key === "rank") return (i) => rank[i];
    if (key === "id") return (i) => board.ids[i];
    const [kind, name] = [key.slice(0, key.indexOf(":")), key.slice(key.indexOf(":") + 1)];
    if (kind === "axis") return (i) => axes[+name].codes[i];
    if (kind === "text") return (i) => text(name, i);
    return (i) => byKey[name].values[i];
  }

  function order(rows) {
    if (!sorted.key) return rows;
    const value = sortValue(sorted.key), sign = sorted.down ? -1 : 1;
    return rows.sort((a, b) => {
      const u = value(a), v = value(b), noU = Number.isNaN(u), noV = Number.isNaN(v);
      if (noU || noV) return noU - noV || a - b; // what is missing stays last either way
      return u < v ? -sign : u > v ? sign : a - b;
    });
  }

  function drawBoard() {
    const heads = [...document.querySelectorAll("#board thead th")];
    const chosen = document.querySelector("#board").dataset;
    const rows = order(matching());
    // where nothing ran there are no numbers: leave the room to the errors
    $("board").classList.toggle("only-failed", rows.length > 0 && !rows.some(ok));
    const body = document.createElement("tbody");
    for (const i of rows.slice(0, payload.top)) {
      const tr = document.createElement("tr");
      if (chosen.id === board.ids[i] && chosen.symbol === text("symbol", i)) tr.className = "chosen";
      for (const th of heads) tr.append(cell(th, i));
      body.append(tr);
    }
    document.querySelector("#board tbody").replaceWith(body);
    const first = rows.length > payload.top ? `first ${payload.top} of ${count(rows.length)}` : count(rows.length);
    $("shown").textContent = rows.length === n && n <= payload.top ? "" : `Shown: ${first} that match, of ${count(board.total)} backtests.`;
  }

  function cell(th, i) {
    const key = th.dataset.sort, name = key.slice(key.indexOf(":") + 1);
    const td = document.createElement(key === "text:symbol" ? "th" : "td");
    td.className = th.className;
    if (key === "rank") td.textContent = format(rank[i], "count");
    else if (key === "id") { td.className = "id"; td.textContent = board.ids[i]; }
    else if (key === "text:symbol") { td.scope = "row"; td.textContent = text("symbol", i); }
    else if (key === "text:status") { td.className = ok(i) ? "dim" : "bad"; td.textContent = ok(i) ? "ok" : `${text("status", i)}: ${text("error", i)}`; }
    else if (key.startsWith("axis:")) td.textContent = axes[+name].levels[axes[+name].codes[i]];
    else td.textContent = format(byKey[name].values[i], byKey[name].kind);
    return td;
  }

  function setUpBoard() {
    const table = $("board");
    $("board-controls").hidden = false;
    for (const th of table.querySelectorAll("thead th")) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...th.childNodes);
      th.append(button);
      button.addEventListener("click", () => {
        const key = th.dataset.sort, number = key.startsWith("metric:");
        sorted = sorted.key === key ? { key, down: !sorted.down } : { key, down: number && !byKey[key.slice(7)].less };
        for (const other of table.querySelectorAll("thead th")) other.removeAttribute("aria-sort");
        th.setAttribute("aria-sort", sorted.down ? "descending" : "ascending");
        drawBoard();
      });
    }
    let waiting;
    $("filter").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(drawBoard, 120); });
    $("status").addEventListener("change", drawBoard);
    $("more").addEventListener("change", () => table.classList.toggle("compact", !$("more").checked));
  }

  // --- charts: one time axis, zoomed together ----------------------------------------------------
  const plots = ["equity", "drawdown", "price"];
  let timeline = null, busy = false;

  const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  const clock = (d) => d.toISOString().slice(11, 16);

  function ticks(low, high, most) {
    const { at, ms, sessions } = timeline, place = new Map(at.reduce((pairs, p, i) => (pairs.push([p, i]), pairs), []));
    let chosen = [...sessions].filter((p) => p >= low && p <= high), days = true;
    if (chosen.length < 3) { chosen = [...at].filter((p) => p >= low && p <= high); days = false; }
    const step = Math.max(1, Math.ceil(chosen.length / most));
    chosen = chosen.filter((_, i) => i % step === 0);
    let last = "";
    const labels = chosen.map((p) => {
      const d = new Date(ms[place.get(p)]), day = `${d.getUTCDate()} ${months[d.getUTCMonth()]}`;
      const under = days ? String(d.getUTCFullYear()) : day, label = days ? day : clock(d);
      const whole = under === last ? label : `${label}<br>${under}`;
      last = under;
      return whole;
    });
    return { tickvals: chosen, ticktext: labels };
  }

  // Values drawn between two positions, so that a zoom in time also fills the height.
  function heights(gd, axis, low, high) {
    let min = Infinity, max = -Infinity;
    for (const trace of gd._fullData) {
      if ((trace.yaxis || "y") !== axis || trace.visible !== true) continue;
      const columns = trace.type === "candlestick" ? [trace.low, trace.high] : [trace.y];
      for (const column of columns) for (let i = 0; i < column.length; i++) {
        if (trace.x[i] < low || trace.x[i] > high || !Number.isFinite(column[i])) continue;
        if (column[i] < min) min = column[i];
        if (column[i] > max) max = column[i];
      }
    }
    const room = (max - min || Math.abs(max) || 1) * 0.06;
    return min <= max ? [min - room, max + room] : null;
  }

  function zoom(range) {
    if (busy) return;
    busy = true;
    const done = plots.map((name) => $("plot-" + name)).filter((gd) => gd && gd._fullData).map((gd) => {
      const shown = range || timeline.extent, labels = ticks(shown[0], shown[1], gd.clientWidth < 600 ? 5 : 10), change = {};
      for (const axis of ["xaxis", "xaxis2"]) if (gd.layout[axis]) {
        change[axis + ".range"] = shown.slice();
        change[axis + ".tickvals"] = labels.tickvals;
        change[axis + ".ticktext"] = labels.ticktext;
      }
      for (const axis of ["yaxis", "yaxis2"]) if (gd.layout[axis]) {
        const fit = range && heights(gd, axis.replace("axis", ""), range[0], range[1]);
        if (fit) change[axis + ".range"] = fit; else change[axis + ".autorange"] = true;
      }
      return Plotly.relayout(gd, change).then(() => sizeMarks(gd, shown[0], shown[1]));
    });
    Promise.all(done).finally(() => { busy = false; });
  }

  // A thousand marks on one screen hide the price: they grow as a zoom leaves fewer.
  function sizeMarks(gd, low, high) {
    const marks = gd._fullData.map((trace, i) => (trace.mode === "markers" ? i : -1)).filter((i) => i >= 0);
    const seen = marks.reduce((sum, i) => sum + [...gd._fullData[i].x].filter((x) => x >= low && x <= high).length, 0);
    return marks.length ? Plotly.restyle(gd, { "marker.size": seen > 1200 ? 3 : seen > 300 ? 5 : 9 }, marks) : null;
  }

  function zoomed(event) {
    const axis = ["xaxis", "xaxis2"].find((name) => event[name + ".range[0]"] !== undefined || event[name + ".range"] || event[name + ".autorange"]);
    if (!axis) return;
    const whole = event[axis + ".range"], low = whole ? whole[0] : event[axis + ".range[0]"], high = whole ? whole[1] : event[axis + ".range[1]"];
    const [first, last] = timeline.extent;
    zoom(low === undefined || (low <= first && high >= last) ? null : [low, high]);
  }

  function drawSymbol(symbol) {
    const one = payload.symbols[symbol];
    timeline = { at: unpack(one.timeline.at, Int32Array), ms: unpack(one.timeline.ms, Float64Array), sessions: unpack(one.timeline.sessions, Int32Array), extent: one.timeline.extent };
    for (const name of plots) {
      const div = $("plot-" + name);
      div.hidden = !one[name];
      if (!one[name]) { Plotly.purge(div); continue; }
      const figure = JSON.parse(JSON.stringify(one[name])), layout = figure.layout;
      delete layout.height; delete layout.title;
      layout.hoverlabel = { font: { size: 12 } };
      if (narrow) for (const axis of ["yaxis", "yaxis2"]) if (layout[axis]) layout[axis].title = { text: "" };
      if (narrow) layout.margin = { ...layout.margin, l: 58, r: 4, t: name === "price" ? 74 : 46 };
      const labels = ticks(-Infinity, Infinity, div.clientWidth < 600 ? 5 : 10);
      for (const axis of ["xaxis", "xaxis2"]) if (layout[axis]) Object.assign(layout[axis], labels);
      for (const axis of ["yaxis", "yaxis2"]) if (layout[axis]) layout[axis].fixedrange = true;
      Plotly.react(div, figure.data, layout, config).then(() => { div.removeAllListeners("plotly_relayout"); div.on("plotly_relayout", zoomed); });
    }
    const meta = one.price && one.price.layout.meta, notes = [];
    if (meta && meta.merged > 1) notes.push(`Bars are merged for display: each candle covers up to ${meta.merged} bars (first open, highest high, lowest low, last close).`);
    if (meta && meta.trades > meta.trades_shown) notes.push(`Of ${count(meta.trades)} trades the ${count(meta.trades_shown)} with the largest profit or loss are drawn.`);
    if (meta && !meta.trades) notes.push("No trade was closed on this symbol.");
    $("price-note").textContent = notes.join(" ");
  }

  // --- the map of the axes -----------------------------------------------------------------------
  const mapped = axes.map((axis) => ({ name: axis.name, ...(axis.bins || { levels: axis.levels, codes: axis.codes }) }));
  if (texts.symbol && texts.symbol.levels.length > 1) mapped.push({ name: "symbol", ...texts.symbol });

  function cells(x, y, metric, aggregate) {
    const wide = x.levels.length, high = y ? y.levels.length : 1, held = Array.from({ length: wide * high }, () => []);
    for (let i = 0; i < n; i++) {
      const value = metric.values[i];
      if (!ok(i) || !Number.isFinite(value) || (aggregate === "median" && !sample[i])) continue;
      held[(y ? y.codes[i] : 0) * wide + x.codes[i]].push(value);
    }
    const taken = held.map((values) => {
      if (!values.length) return null;
      values.sort((a, b) => a - b);
      if (aggregate === "best") return metric.less ? values[0] : values[values.length - 1];
      const half = values.length >> 1;
      return values.length % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
    });
    const grid = (flat) => Array.from({ length: high }, (_, row) => flat.slice(row * wide, (row + 1) * wide));
    return { values: grid(taken), counts: grid(held.map((values) => values.length)) };
  }
  window.whatifCells = (x, y, key, aggregate) => cells(mapped.find((a) => a.name === x), mapped.find((a) => a.name === y), byKey[key], aggregate);

  const scales = () => dark.matches
    ? { diverging: [[0, "#c25a52"], [0.25, "#74403d"], [0.5, "#262b33"], [0.75, "#31548a"], [1, "#5b97e6"]], sequential: [[0, "#232a35"], [0.5, "#37639f"], [1, "#83b4f2"]] }
    : { diverging: [[0, "#c0504a"], [0.25, "#e3a7a0"], [0.5, "#eceff1"], [0.75, "#94bbe6"], [1, "#2f6fc4"]], sequential: [[0, "#e9eef5"], [0.5, "#7fa9dc"], [1, "#1f4f96"]] };

  function mapLayout(x, y) {
    const grid = "rgba(128,128,128,0.18)";
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: { l: 60, r: 10, t: 10, b: 44 },
      font: { family: "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif", size: 12 },
      xaxis: { type: "category", title: { text: escaped(x) }, automargin: true, showgrid: false, fixedrange: true, categoryorder: "array" },
      yaxis: { title: { text: escaped(y) }, automargin: true, gridcolor: grid, zerolinecolor: grid, fixedrange: true },
      showlegend: false, hovermode: "closest",
    };
  }

  function drawMap() {
    const x = mapped[+$("map-x").value], y = $("map-y").value === "" ? null : mapped[+$("map-y").value];
    const metric = byKey[$("map-metric").value], aggregate = $("map-aggregate").value;
    $("map-note").textContent = y === x ? "Both axes are the same: choose another." : notesOfMap(x, y);
    if (y) drawHeat(x, y, metric, aggregate); else drawStrip(x, metric, aggregate);
  }

  function notesOfMap(x, y) {
    const rest = mapped.filter((a) => a !== x && a !== y && a.levels.length > 1).map((a) => a.name);
    const binned = [x, y].some((a) => a && axes.some((b) => b.name === a.name && b.bins));
    const notes = [rest.length ? `Over: ${rest.join(", ")}.` : binned ? "" : "No other axis varies: each value is one backtest."];
    if (binned) notes.push("Axes of many numbers are cut into bins of about equal counts.");
    return notes.join(" ");
  }

  function drawHeat(x, y, metric, aggregate) {
    const grid = cells(x, y, metric, aggregate), flat = grid.values.flat().filter((v) => v !== null);
    const limit = Math.max(...flat.map(Math.abs), 1e-12), few = x.levels.length <= 16 && y.levels.length <= 24 && $("plot-map").clientWidth / x.levels.length > 46;
    const labels = grid.values.map((row) => row.map((v) => format(v, metric.kind)));
    const trace = {
      type: "heatmap", x: x.levels.map(escaped), y: y.levels.map(escaped), z: grid.values, text: labels, customdata: grid.counts,
      texttemplate: few ? "%{text}" : "", xgap: x.levels.length > 40 ? 0 : 1, ygap: y.levels.length > 40 ? 0 : 1, hoverongaps: false,
      colorscale: metric.signed ? scales().diverging : scales().sequential,
      ...(metric.signed ? { zmin: -limit, zmax: limit } : {}),
      colorbar: { title: { text: escaped(metric.heading), side: "right" }, thickness: 12, outlinewidth: 0 },
      hovertemplate: `${escaped(x.name)} %{x}<br>${escaped(y.name)} %{y}<br>${escaped(metric.label)} <b>%{text}</b><br>of %{customdata} backtests<extra></extra>`,
    };
    const layout = mapLayout(x.name, y.name);
    Object.assign(layout.yaxis, { type: "category", showgrid: false });
    Plotly.react($("plot-map"), [trace], layout, still);
  }

  // With one axis there is nothing to map: every backtest is a point, and a line goes through best or median.
  function drawStrip(x, metric, aggregate) {
    const names = x.levels.map(escaped), at = [], values = [];
    for (let i = 0; i < n; i++) if (ok(i) && Number.isFinite(metric.values[i])) { at.push(names[x.codes[i]]); values.push(metric.values[i]); }
    const layout = mapLayout(x.name, metric.heading), line = cells(x, null, metric, aggregate).values[0];
    Object.assign(layout.xaxis, { categoryarray: names });
    const shown = line.map((v) => format(v, metric.kind));
    Plotly.react($("plot-map"), [
      { type: "scatter", mode: "markers", x: at, y: values, marker: { color: "#8b919b", size: 7, opacity: 0.55 }, hovertemplate: "%{x}: %{y:.4g}<extra></extra>" },
      { type: "scatter", mode: "lines+markers", x: names, y: line, text: shown, line: { color: "#3b7dd8", width: 2 }, hovertemplate: `${aggregate} at %{x}: <b>%{text}</b><extra></extra>` },
    ], layout, still);
  }

  function setUpMap() {
    const section = $("map");
    const varying = mapped.map((a, i) => i).filter((i) => mapped[i].levels.length > 1);
    if (!section || !varying.length) return;
    section.hidden = false;
    for (const id of ["map-x", "map-y"]) for (const i of varying) $(id).append(new Option(mapped[i].name, i));
    $("map-y").append(new Option("nothing: show all points", ""));
    for (const m of metrics) $("map-metric").append(new Option(m.heading, m.key));
    $("map-x").value = varying[0];
    $("map-y").value = varying.length > 1 ? varying[1] : "";
    for (const id of ["map-x", "map-y", "map-metric", "map-aggregate"]) $(id).addEventListener("change", drawMap);
    drawMap();
  }

  function setUpSpread() {
    if (!payload.spread) return;
    $("spread").hidden = false;
    const { data, layout } = payload.spread;
    delete layout.height;
    Plotly.react($("spread"), data, layout, still);
  }

  function setUpStitched() {
    if (!payload.stitched) return;
    $("plot-stitched").hidden = false;
    const { data, layout } = payload.stitched;
    delete layout.height;
    Plotly.react($("plot-stitched"), data, layout, still);
  }

  function setUpReliability() {
    if (!payload.reliability) return;
    $("plot-reliability").hidden = false;
    const { data, layout } = payload.reliability;
    delete layout.height;
    Plotly.react($("plot-reliability"), data, layout, still);
  }

  const symbols = Object.keys(payload.symbols);
  setUpBoard();
  setUpSpread();
  setUpStitched();
  setUpReliability();
  if (symbols.length) {
    drawSymbol(symbols[0]);
    if ($("symbol")) $("symbol").addEventListener("change", (event) => drawSymbol(event.target.value));
  }
  setUpMap();
  dark.addEventListener("change", () => { if ($("map") && !$("map").hidden) drawMap(); });
})();
