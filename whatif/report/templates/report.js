window.whatifReady = (async () => {
  const [text_, library] = await Promise.all(["payload", "plotly"].map((id) => whatifUnpacked(document.getElementById(id).textContent)));
  const payload = JSON.parse(text_), plotly = document.createElement("script");
  plotly.textContent = library;
  document.head.append(plotly);
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

  function unpackNumbers(packed) {
    if (packed.floats !== undefined) return unpack(packed.floats, Float64Array);
    const planes = unpack(packed.ints, Uint8Array), n = planes.length / 4, found = new Float64Array(n);
    for (let i = 0; i < n; i++) {
      const whole = planes[i] | (planes[n + i] << 8) | (planes[2 * n + i] << 16) | (planes[3 * n + i] << 24);
      found[i] = whole === -2147483648 ? NaN : whole / packed.scale;
    }
    return found;
  }

  // The same rule as columns.format_number: a row must not change its digits when it is sorted.
  function format(value, kind) {
    if (value === null || value === undefined || Number.isNaN(value)) return "–";
    if (kind === "flag") return value ? "yes" : "no";
    if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
    const scaled = kind === "fraction" ? value * 100 : value, size = Math.abs(scaled);
    if (size > 1e15) return (scaled < 0 ? "−" : "") + (Number.isFinite(size) ? size.toExponential(1) : "∞");
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
  // rows of the world in which configurations are chosen; of the others none is on the map
  const home = board.home ? unpack(board.home, Int32Array) : null;
  const told = (i) => ok(i) && (!home || home[i]);
  const rank = board.rank ? unpackNumbers(board.rank) : Float64Array.from({ length: n }, (_, i) => i + 1);
  const coded = (column) => ({ levels: column.levels, codes: unpack(column.codes, Int32Array) });
  const texts = Object.fromEntries(Object.entries(board.texts).map(([name, column]) => [name, coded(column)]));
  const axes = board.axes.map((axis) => ({ name: axis.name, ...coded(axis), bins: axis.bins && coded(axis.bins) }));
  const metrics = board.metrics.map((m) => ({ ...m, values: unpackNumbers(m.values) }));
  const byKey = Object.fromEntries(metrics.map((m) => [m.key, m]));
  const text = (name, i) => (texts[name] ? texts[name].levels[texts[name].codes[i]] : "");
  const ok = (i) => text("status", i) === "ok";

  // --- leaderboard: sort and filter --------------------------------------------------------------
  let sorted = { key: null, down: false };
  let haystacks = null, unknown = "";

  function haystack(i) {
    const pairs = axes.map((a) => `${a.name}=${a.levels[a.codes[i]]}`.toLowerCase());
    const symbol = text("symbol", i);
    return { exact: new Set([...pairs, `symbol=${symbol}`.toLowerCase()]), all: [symbol, board.ids[i], text("error", i), ...pairs].join(" ").toLowerCase() };
  }

  const plainName = (name) => name.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "_").replace(/^_+|_+$/g, "");
  const compares = { "<": (a, b) => a < b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, ">=": (a, b) => a >= b, "=": (a, b) => a === b };

  // "sharpe>5": a column of numbers, by its key or its heading without signs, and what to compare with
  function comparison(word) {
    const [, name, sign, value] = word.match(/^([^<>=]+)(<=|>=|<|>|=)(.+)$/) || [];
    if (name === undefined || pairs.has(word)) return null;
    const number = Number(value.replace(/%$/, "")), wanted = plainName(name);
    if (!Number.isFinite(number)) return sign === "=" ? null : { missing: `“${value}” is no number` };
    const metric = metrics.find((m) => [m.key, m.label, m.heading].some((one) => plainName(one) === wanted));
    const scale = metric && metric.kind === "fraction" && value.endsWith("%") ? 0.01 : 1;
    if (metric) return { holds: (i) => compares[sign](metric.values[i], number * scale) };
    const axis = axes.find((a) => plainName(a.name) === wanted);
    if (axis) return { holds: (i) => compares[sign](Number(axis.levels[axis.codes[i]]), number) };
    return sign === "=" ? null : { missing: `no column is called “${name}”` };
  }

  function matching() {
    const given = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean), tests = [], words = [];
    unknown = "";
    for (const word of given) {
      const test = comparison(word);
      if (!test) words.push(word);
      else if (test.missing) unknown = ` ${test.missing[0].toUpperCase()}${test.missing.slice(1)}.`;
      else tests.push(test.holds);
    }
    const status = $("status").value;
    if (words.length && !haystacks) haystacks = Array.from({ length: n }, (_, i) => haystack(i));
    const found = [];
    for (let i = 0; i < n; i++) {
      if (status && (["ok", "dropped"].includes(text("status", i)) ? text("status", i) : "failed") !== status) continue;
      if (tests.length && !tests.every((holds) => holds(i))) continue;
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
      tr.dataset.row = i;
      body.append(tr);
    }
    forget(document.querySelector("#board tbody"));
    document.querySelector("#board tbody").replaceWith(body);
    openable();
    drawMultiples(rows);
    const first = rows.length > payload.top ? `first ${payload.top} of ${count(rows.length)}` : count(rows.length);
    $("shown").textContent = rows.length === n && n <= payload.top ? unknown.trim() : `Shown: ${first} that match, of ${count(board.total)} backtests.${unknown}`;
  }

  // what matches, all of it, in the order shown; a text that a spreadsheet would take for a formula gets an apostrophe
  function asCsv() {
    const quoted = (value) => { const t = String(value), safe = /^\s*[=+\-@\t\r]/.test(t) && !Number.isFinite(Number(t)) ? `'${t}` : t; return /[",\n\r]/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe; };
    const number = (v) => (Number.isNaN(v) ? "" : v);
    const lines = [["rank", "symbol", ...axes.map((a) => a.name), ...metrics.map((m) => m.key), "config_id", "status", "error"]];
    for (const i of order(matching())) lines.push([number(rank[i]), text("symbol", i), ...axes.map((a) => a.levels[a.codes[i]]), ...metrics.map((m) => number(m.values[i])), board.ids[i], text("status", i), text("error", i)]);
    return lines.map((cells) => cells.map(quoted).join(",")).join("\r\n") + "\r\n";
  }

  function saveCsv() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([asCsv()], { type: "text/csv" }));
    link.download = "configurations.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }
  window.whatifCsv = asCsv;

  function cell(th, i) {
    const key = th.dataset.sort, name = key.slice(key.indexOf(":") + 1);
    const td = document.createElement(key === "text:symbol" ? "th" : "td");
    td.className = th.className;
    if (th.dataset.name) td.dataset.label = th.dataset.name;
    if (key === "rank") td.textContent = format(rank[i], "count");
    else if (key === "id") { td.className = "id"; td.textContent = board.ids[i]; }
    else if (key === "text:symbol") { td.scope = "row"; td.textContent = text("symbol", i); }
    else if (key === "text:status") { td.className = ["ok", "dropped"].includes(text("status", i)) ? "dim" : "bad"; td.textContent = ok(i) ? "ok" : `${text("status", i)}: ${text("error", i)}`; }
    else if (key.startsWith("axis:")) td.textContent = axes[+name].levels[axes[+name].codes[i]];
    else td.textContent = format(byKey[name].values[i], byKey[name].kind);
    return td;
  }

  // a line is clicked, or Enter pressed on it: below it stands all that is known of that backtest
  function openable() {
    document.querySelectorAll("#board tbody tr").forEach((tr, k) => { tr.tabIndex = 0; tr.dataset.row ??= k; tr.dataset.open = "false"; });
  }
  // a chart that goes is given back when it is drawn: plotly still measures it until then
  const drawing = new WeakMap();
  const forget = (part) => part.querySelectorAll(".account").forEach((one) => drawing.get(one).then(() => Plotly.purge(one)));
  function toggle(tr) {
    const open = tr.dataset.open === "true";
    tr.dataset.open = String(!open);
    if (open) { forget(tr.nextElementSibling); tr.nextElementSibling.remove(); return; }
    const i = Number(tr.dataset.row), line = document.createElement("tr"), home = document.createElement("td"), list = document.createElement("dl");
    line.className = "all";
    home.colSpan = tr.cells.length;
    for (const m of metrics) {
      const pair = document.createElement("div"), name = document.createElement("dt"), value = document.createElement("dd");
      name.textContent = m.heading;
      value.textContent = format(m.values[i], m.kind);
      pair.append(name, value);
      list.append(pair);
    }
    const next = document.createElement("p"), id = `FILE#${board.ids[i].slice(0, 8)}`;
    next.textContent = ok(i) ? `whatif compare FILE ${id} says what it differs by from the chosen one; whatif export ${id} writes it as a program; whatif explore FILE shows its account.` : text("error", i);
    const chart = document.createElement("div"), said = document.createElement("p");
    chart.className = "plot small account";
    chart.setAttribute("role", "figure");
    chart.setAttribute("aria-label", `Account of this configuration on validate: ${board.ids[i]}`);
    said.className = "hint";
    said.textContent = ok(i) ? aboutAccount(i) : "";
    home.append(...(holdsAccount(i) ? [chart] : []), said, list, next);
    line.append(home);
    tr.after(line);
    if (holdsAccount(i)) drawing.set(chart, drawAccount(chart, i));
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
    openable();
    const line = (event) => event.target.closest("tr[data-open]");
    table.addEventListener("click", (event) => { if (line(event) && !String(getSelection())) toggle(line(event)); });
    table.addEventListener("keydown", (event) => { if (["Enter", " "].includes(event.key) && event.target === line(event)) { event.preventDefault(); toggle(event.target); } });
    let waiting;
    $("filter").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(drawBoard, 120); });
    $("status").addEventListener("change", drawBoard);
    $("csv").addEventListener("click", saveCsv);
    $("more").addEventListener("change", () => table.classList.toggle("compact", !$("more").checked));
  }

  // --- accounts of the first rows on validate -----------------------------------------------------
  const CELLS = 12;
  const accounts = payload.accounts && (() => {
    const { rows, cash, pooled, hold, chosen } = payload.accounts, ms = unpackNumbers(payload.accounts.ms), all = unpackNumbers(payload.accounts.growth), points = ms.length;
    const spread = (one) => [...one];
    return {
      ms, pooled, cash: new Map(rows.map((row, k) => [row, cash[k]])),
      growth: new Map(rows.map((row, k) => [row, spread(all.subarray(k * points, (k + 1) * points))])),
      chosen: chosen && spread(unpackNumbers(chosen)), hold: Object.fromEntries(Object.entries(hold).map(([symbol, one]) => [symbol, spread(unpackNumbers(one))])),
    };
  })();
  const holdsAccount = (i) => Boolean(accounts && accounts.growth.has(i));
  const isChosen = (i) => { const { id, symbol } = $("board").dataset; return board.ids[i] === id && (!symbol || text("symbol", i) === symbol); };

  function aboutAccount(i) {
    if (holdsAccount(i)) return `Account on validate, all from the same cash${accounts.pooled ? "; of several symbols the mean of their returns" : ""}. The test window stays closed for all but the chosen one.`;
    const whose = `whatif compare FILE FILE#${board.ids[i].slice(0, 8)} runs it again and draws it beside the chosen one.`;
    if (payload.joined) return `This ranking joins several windows, so that a row has no one account. ${whose}`;
    const most = accounts ? Math.max(...accounts.growth.keys()) : -1;
    return i > most && accounts ? `This page holds the accounts of the first ${most + 1} of the ranking, and not this one. ${whose}` : `The returns of this configuration are not on this page: a large study stores those of the best and of a sample, and a page made without series holds none. ${whose}`;
  }

  const day = (at) => { const d = new Date(at); return `${d.getUTCDate()} ${months[d.getUTCMonth()]} ${d.getUTCFullYear()}`; };
  function drawAccount(div, i) {
    const cash = accounts.cash.get(i), { ms } = accounts, last = ms.length - 1, hold = accounts.hold[text("symbol", i)];
    const short = ms[last] - ms[0] < 8 * 864e5, when = Array.from(ms, (at) => (short ? `${day(at)} ${clock(new Date(at))}` : day(at)));
    const bright = dark.matches, at = Array.from(ms, (_, k) => k), money = (growth) => growth.map((one) => one * cash);
    const trace = (name, growth, color, width) => ({ type: "scatter", mode: "lines", name, x: at, y: money(growth), customdata: when, line: { color, width }, hovertemplate: `<b>%{customdata}</b><br>${name} %{y:,.2f}<extra></extra>` });
    const traces = [];
    if (hold) traces.push(trace("hold", hold, "#8b919b", 1.3));
    if (accounts.chosen && !isChosen(i)) traces.push(trace("chosen", accounts.chosen, bright ? "#f0b429" : "#c77700", 1.5));
    traces.push(trace("this one", accounts.growth.get(i), "#3b7dd8", 2));
    const layout = mapLayout("", "account"), many = Math.max(1, Math.min(6, Math.floor(div.clientWidth / 130), last)), places = Array.from({ length: many }, (_, k) => Math.round(((k + 0.5) * last) / many));
    Object.assign(layout, { showlegend: true, legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", traceorder: "reversed" }, hovermode: "x unified" });
    layout.margin = { ...layout.margin, t: 28, b: 30 };
    Object.assign(layout.xaxis, { type: "linear", tickvals: places, ticktext: places.map((k) => when[k].replace(/ (?=\d\d:)/, "<br>")), range: [0, last] });
    return Plotly.react(div, traces, layout, still);
  }

  // the first rows shown that have one, small and on one scale
  let shownCells = [];
  function drawMultiples(rows) {
    const div = $("plot-multiples"), found = accounts ? rows.filter(holdsAccount).slice(0, CELLS) : [];
    if (!div) return;
    $("multiples").hidden = found.length < 2;
    if (found.length < 2) return;
    const columns = Math.max(1, Math.min(found.length, div.clientWidth < 560 ? 2 : div.clientWidth < 900 ? 3 : 4)), down = Math.ceil(found.length / columns);
    div.style.height = `${28 + 104 * down}px`;
    const last = accounts.ms.length - 1, at = Array.from(accounts.ms, (_, k) => k), percent = (growth) => growth.map((one) => 100 * (one - 1));
    const layout = mapLayout("", ""), traces = [], room = Math.floor((div.clientWidth - 40) / columns / 6.4);
    delete layout.xaxis; delete layout.yaxis;
    Object.assign(layout, { annotations: [], margin: { l: 40, r: 6, t: 20, b: 8 } });
    const named = ["rank", texts.symbol.levels.length > 1 ? "symbol" : "", ...axes.filter((a) => a.levels.length > 1).map((a) => a.name)].filter(Boolean);
    $("multiples-named").textContent = `Above each: ${named.join(" · ")}.`;
    const wide = 1 / columns, high = 1 / down, grid = "rgba(128,128,128,0.18)";
    found.forEach((i, k) => {
      const n = k ? k + 1 : "", column = k % columns, top = 1 - Math.floor(k / columns) * high, left = column * wide;
      layout[`xaxis${n}`] = { anchor: `y${n}`, domain: [left, left + wide * 0.95], range: [0, last], showticklabels: false, showgrid: false, zeroline: false, fixedrange: true };
      layout[`yaxis${n}`] = { anchor: `x${n}`, domain: [top - high * 0.76, top], ...(k ? { matches: "y" } : {}), showticklabels: !column, ticksuffix: " %", nticks: 4, tickfont: { size: 10 }, gridcolor: grid, zeroline: true, zerolinecolor: "rgba(128,128,128,0.55)", fixedrange: true };
      const line = (growth, color, width, more) => ({ type: "scatter", mode: "lines", x: at, y: percent(growth), xaxis: `x${n}`, yaxis: `y${n}`, line: { color, width }, ...more });
      const growth = accounts.growth.get(i), hold = accounts.hold[text("symbol", i)], varying = axes.filter((a) => a.levels.length > 1);
      if (hold) traces.push(line(hold, "#8b919b", 1, { hoverinfo: "skip", meta: i }));
      traces.push(line(growth, isChosen(i) ? (dark.matches ? "#f0b429" : "#c77700") : "#3b7dd8", 1.6, { meta: i, hovertemplate: `${pointText(i)}<br>%{y:.2f} %<extra></extra>` }));
      const label = [`${format(rank[i], "count")}`, texts.symbol.levels.length > 1 ? text("symbol", i) : "", ...varying.map((a) => a.levels[a.codes[i]])].filter(Boolean).join(" · ");
      layout.annotations.push({ xref: "paper", yref: "paper", x: left, y: top, xanchor: "left", yanchor: "bottom", text: cut(label, Math.max(room, 8)), showarrow: false, font: { size: 11 } });
    });
    shownCells = found;
    Plotly.react(div, traces, layout, still);
  }

  function setUpMultiples() {
    const div = $("plot-multiples");
    drawMultiples(Array.from({ length: n }, (_, i) => i));
    if (!div || !shownCells.length) return;
    div.on("plotly_click", ({ points }) => {
      const tr = document.querySelector(`#board tbody tr[data-row="${points[0].data.meta}"]`);
      if (!tr) return;
      if (tr.dataset.open !== "true") toggle(tr);
      tr.scrollIntoView({ block: "nearest" });
      tr.focus();
    });
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

  // A thousand marks on one screen hide the price: of many an even part is drawn, and all of them in a zoom.
  const MARKS = 160;
  function sizeMarks(gd, low, high) {
    const marks = gd._fullData.map((trace, i) => (trace.mode === "markers" ? i : -1)).filter((i) => i >= 0);
    if (!marks.length) return null;
    const seen = marks.reduce((sum, i) => sum + [...gd._fullData[i].x].filter((x) => x >= low && x <= high).length, 0), step = Math.max(1, Math.ceil(seen / MARKS));
    $("marks-note").textContent = step > 1 ? `One entry or exit in ${step} is marked; a zoom marks more.` : "";
    return Plotly.restyle(gd, { "marker.size": marks.map((i) => Array.from(gd._fullData[i].x, (_, k) => (k % step ? 0 : 9))) }, marks);
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
      const named = new Set(figure.data.filter((one) => one.showlegend !== false).map((one) => one.legendgroup || one.name)).size;
      if (narrow) layout.margin = { ...layout.margin, l: 58, r: 4, t: name === "price" ? 52 + 20 * Math.ceil(named / 2) : 46 };
      const labels = ticks(-Infinity, Infinity, div.clientWidth < 600 ? 5 : 10);
      for (const axis of ["xaxis", "xaxis2"]) if (layout[axis]) Object.assign(layout[axis], labels);
      for (const axis of ["yaxis", "yaxis2"]) if (layout[axis]) layout[axis].fixedrange = true;
      Plotly.react(div, figure.data, layout, config).then(() => { div.removeAllListeners("plotly_relayout"); div.on("plotly_relayout", zoomed); if (name === "price") sizeMarks(div, ...timeline.extent); });
    }
    const meta = one.price && one.price.layout.meta, notes = [];
    if (meta && meta.merged > 1) notes.push(`Bars are merged for display: each candle covers up to ${meta.merged} bars (first open, highest high, lowest low, last close).`);
    if (meta && meta.trades > meta.trades_shown) notes.push(`Of ${count(meta.trades)} trades the ${count(meta.trades_shown)} with the largest profit or loss are drawn.`);
    if (meta && !meta.trades) notes.push("No trade was closed on this symbol.");
    $("price-note").textContent = notes.join(" ");
  }

  // --- the first screen --------------------------------------------------------------------------
  function drawAnswer(symbol) {
    const div = $("plot-answer"), one = payload.symbols[symbol];
    if (!div) return;
    div.hidden = !one.equity;
    if (!one.equity) return;
    const figure = JSON.parse(JSON.stringify(one.equity)), layout = figure.layout;
    delete layout.height; delete layout.title;
    Object.assign(layout.xaxis, ticks(-Infinity, Infinity, div.clientWidth < 600 ? 4 : 10), { fixedrange: true });
    layout.yaxis.fixedrange = true;
    layout.margin = { ...layout.margin, t: narrow ? 78 : 34, b: 36, ...(narrow ? { l: 58, r: 4 } : {}) };
    if (narrow) layout.yaxis.title = { text: "" };
    Plotly.react(div, [...(payload.luck ? payload.luck.data : []), ...figure.data], layout, still);
  }

  // the side index marks the section that is being read
  function setUpIndex() {
    const links = new Map([...document.querySelectorAll("nav a")].map((a) => [document.querySelector(a.hash), a]));
    const mark = () => {
      let now = null;
      for (const [section] of links) if (section && !section.hidden && section.getBoundingClientRect().top < 140) now = section;
      for (const [section, a] of links) if (section === now) a.setAttribute("aria-current", "true"); else a.removeAttribute("aria-current");
    };
    for (const [section, a] of links) if (!section || section.hidden) a.parentElement.hidden = true;
    document.addEventListener("scroll", mark, { passive: true });
    mark();
  }

  // --- the map of the axes -----------------------------------------------------------------------
  const mapped = axes.map((axis) => ({ name: axis.name, ...(axis.bins || { levels: axis.levels, codes: axis.codes }) }));
  if (texts.symbol && texts.symbol.levels.length > 1) mapped.push({ name: "symbol", ...texts.symbol });

  // symbols that rank by themselves are shown one by one: the code of the one, or -1 for all
  const ranked = texts.symbol && texts.symbol.levels.length > 1 ? texts.symbol : null;
  const whose = (x, y) => (ranked && $("map-symbol").value !== "" && ![x, y].some((a) => a && a.name === "symbol") ? +$("map-symbol").value : -1);
  const of = (only, i) => only < 0 || ranked.codes[i] === only;

  function cells(x, y, metric, aggregate, only = -1) {
    const wide = x.levels.length, high = y ? y.levels.length : 1, held = Array.from({ length: wide * high }, () => []);
    for (let i = 0; i < n; i++) {
      const value = metric.values[i];
      if (!told(i) || !of(only, i) || !Number.isFinite(value) || (aggregate === "median" && !sample[i])) continue;
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
  window.whatifCells = (x, y, key, aggregate, symbol = "") => cells(mapped.find((a) => a.name === x), mapped.find((a) => a.name === y), byKey[key], aggregate, ranked ? ranked.levels.indexOf(symbol) : -1);

  const scales = () => dark.matches
    ? { diverging: [[0, "#c25a52"], [0.25, "#74403d"], [0.5, "#262b33"], [0.75, "#2c4c7d"], [1, "#3f78c9"]], sequential: [[0, "#232a35"], [0.5, "#37639f"], [1, "#83b4f2"]] }
    : { diverging: [[0, "#c0504a"], [0.25, "#e3a7a0"], [0.5, "#eceff1"], [0.75, "#94bbe6"], [1, "#2f6fc4"]], sequential: [[0, "#e9eef5"], [0.5, "#7fa9dc"], [1, "#1f4f96"]] };

  // of many names as many as stand beside each other, upright, and of a long one its beginning
  const cut = (text, most = 24) => escaped(String(text).length > most ? `${String(text).slice(0, most - 1)}…` : text);
  function thinned(levels, room) {
    const longest = Math.max(...levels.map((one) => one.length)), by = levels.length > 16 ? Math.ceil((levels.length * (14 + 7 * longest)) / Math.max(room, 1)) : 1;
    if (by === 1 && longest <= 24) return {};
    const kept = levels.filter((_, k) => k % by === 0);
    return { tickmode: "array", tickvals: kept.map(escaped), ticktext: kept.map((one) => cut(one)), ...(by > 1 ? { tickangle: 0 } : {}) };
  }

  function mapLayout(x, y) {
    const grid = "rgba(128,128,128,0.18)";
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: { l: 60, r: 10, t: 10, b: 44 },
      font: { family: "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif", size: 12 },
      xaxis: { type: "category", title: { text: cut(x, 60) }, automargin: true, showgrid: false, fixedrange: true, categoryorder: "array" },
      yaxis: { title: { text: cut(y, 60) }, automargin: true, gridcolor: grid, zerolinecolor: grid, fixedrange: true },
      showlegend: false, hovermode: "closest",
    };
  }

  function drawMap() {
    const x = mapped[+$("map-x").value], y = $("map-y").value === "" ? null : mapped[+$("map-y").value];
    const metric = byKey[$("map-metric").value], aggregate = $("map-aggregate").value;
    $("map-symbol").disabled = [x, y].some((a) => a && a.name === "symbol");
    $("map-note").textContent = y === x ? "Both axes are the same: choose another." : notesOfMap(x, y);
    if (y) drawHeat(x, y, metric, aggregate); else drawStrip(x, metric, aggregate);
  }

  const chosenRow = (() => { const { id, symbol } = $("board").dataset; return board.ids.findIndex((one, i) => one === id && (!symbol || text("symbol", i) === symbol)); })();

  function notesOfMap(x, y) {
    const only = whose(x, y), rest = mapped.filter((a) => a !== x && a !== y && a.levels.length > 1 && (only < 0 || a.name !== "symbol")).map((a) => a.name);
    const binned = [x, y].some((a) => a && axes.some((b) => b.name === a.name && b.bins));
    const notes = [rest.length ? `Over: ${rest.join(", ")}.` : binned ? "" : "No other axis varies: each value is one backtest."];
    if (binned) notes.push("Axes of many numbers are cut into bins of about equal counts.");
    if (y) notes.push(`${chosenRow >= 0 && of(only, chosenRow) ? "The frame marks the chosen configuration. " : ""}Colours end at the 2nd and the 98th percentile of the cells.`);
    return notes.join(" ");
  }

  function drawHeat(x, y, metric, aggregate) {
    const only = whose(x, y), grid = cells(x, y, metric, aggregate, only), flat = grid.values.flat().filter((v) => v !== null);
    // a few extremes would leave all else pale: colours end at the 2nd and the 98th percentile
    const order = flat.slice().sort((a, b) => a - b), at = (share) => order[Math.round(share * (order.length - 1))], low = at(0.02), high = at(0.98);
    const limit = Math.max(Math.abs(low || 0), Math.abs(high || 0), 1e-12), few = x.levels.length <= 16 && y.levels.length <= 24 && $("plot-map").clientWidth / x.levels.length > 46;
    const labels = grid.values.map((row) => row.map((v) => format(v, metric.kind)));
    const trace = {
      type: "heatmap", x: x.levels.map(escaped), y: y.levels.map(escaped), z: grid.values, text: labels, customdata: grid.counts,
      texttemplate: few ? "%{text}" : "", xgap: x.levels.length > 40 ? 0 : 1, ygap: y.levels.length > 40 ? 0 : 1, hoverongaps: false,
      colorscale: metric.signed ? scales().diverging : scales().sequential,
      ...(metric.signed ? { zmin: -limit, zmax: limit } : low < high ? { zmin: low, zmax: high } : {}),
      colorbar: { title: { text: escaped(metric.heading), side: "right" }, thickness: 12, outlinewidth: 0 },
      hovertemplate: `${escaped(x.name)} %{x}<br>${escaped(y.name)} %{y}<br>${escaped(metric.label)} <b>%{text}</b><br>of %{customdata} backtests<extra></extra>`,
    };
    const layout = mapLayout(x.name, y.name);
    Object.assign(layout.yaxis, { type: "category", showgrid: false });
    Object.assign(layout.xaxis, thinned(x.levels, $("plot-map").clientWidth - 150));
    Object.assign(layout.yaxis, thinned(y.levels, Infinity));
    if (chosenRow >= 0 && of(only, chosenRow)) {
      const [a, b] = [x.codes[chosenRow], y.codes[chosenRow]], ink = getComputedStyle(document.body).color;
      layout.shapes = [{ type: "rect", x0: a - 0.5, x1: a + 0.5, y0: b - 0.5, y1: b + 0.5, line: { color: ink, width: 3 } }];
    }
    Plotly.react($("plot-map"), [trace], layout, still);
  }

  // With one axis there is nothing to map: every backtest is a point, and a line goes through best or median.
  function drawStrip(x, metric, aggregate) {
    const names = x.levels.map(escaped), at = [], values = [], only = whose(x, null);
    for (let i = 0; i < n; i++) if (told(i) && of(only, i) && Number.isFinite(metric.values[i])) { at.push(names[x.codes[i]]); values.push(metric.values[i]); }
    const layout = mapLayout(x.name, metric.heading), line = cells(x, null, metric, aggregate, only).values[0];
    Object.assign(layout.xaxis, { categoryarray: names, ...thinned(x.levels, $("plot-map").clientWidth - 80) });
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
    if (ranked) {
      ranked.levels.forEach((name, code) => $("map-symbol").append(new Option(name, code)));
      $("map-symbol").append(new Option("all of them", ""));
      $("map-symbol").value = chosenRow >= 0 ? ranked.codes[chosenRow] : 0;
      $("map-whose").hidden = false;
    }
    for (const id of ["map-x", "map-y", "map-metric", "map-aggregate", "map-symbol"]) $(id).addEventListener("change", drawMap);
    drawMap();
  }

  // --- the trials --------------------------------------------------------------------------------
  const LINES = 1500, SHADES = 5;
  const trialOf = board.trial ? unpackNumbers(board.trial) : null;
  const front = board.front ? unpack(board.front, Int32Array) : null;
  const mark = { type: "scatter", mode: "markers", marker: { color: "#8b919b", size: 6, opacity: 0.55 }, hovertemplate: "%{text}<extra></extra>" };

  // the best by rank, and an even sample of the rest
  function trialRows(most) {
    const found = [];
    for (let i = 0; i < n; i++) if (told(i) && Number.isFinite(byKey[board.objective].values[i])) found.push(i);
    if (found.length <= most) return found;
    const best = found.slice(0, Math.floor(most / 5)), rest = found.slice(best.length), step = Math.ceil(rest.length / (most - best.length));
    return [...best, ...rest.filter((_, k) => k % step === 0)];
  }

  const pointText = (i) => [text("symbol", i), ...axes.map((a) => `${a.name} ${a.levels[a.codes[i]]}`), `${byKey[board.objective].heading} ${format(byKey[board.objective].values[i], byKey[board.objective].kind)}`].filter(Boolean).map(escaped).join("<br>");

  // SVG lines, one trace for each shade: plotly's own kind draws by WebGL and compiles code, which this page forbids
  function drawParallel(rows) {
    const metric = byKey[board.objective], varying = axes.filter((a) => a.levels.length > 1).slice(0, 12);
    const values = rows.map((i) => metric.values[i]), low = Math.min(...values), high = Math.max(...values), span = high - low || 1;
    const ends = varying.map((a) => [a.levels[0], a.levels[a.levels.length - 1]]).concat([[format(low, metric.kind), format(high, metric.kind)]]);
    const order = rows.map((_, k) => k).sort((a, b) => (metric.less ? values[b] - values[a] : values[a] - values[b]));
    const shades = dark.matches ? ["#39404b", "#3d4f6b", "#41659a", "#5b97e6", "#f0b429"] : ["#dfe3e8", "#b9cbe2", "#7fa9dc", "#2f6fc4", "#c77700"];
    const traces = [];
    for (let shade = 0; shade < SHADES; shade++) {
      // the last shade is the best hundredth, at least one
      const cut = (k) => (k >= order.length - Math.max(1, Math.round(order.length / 100)) ? SHADES - 1 : Math.min(SHADES - 2, Math.floor((k / order.length) * (SHADES - 1))));
      const x = [], y = [];
      order.forEach((which, k) => {
        if (cut(k) !== shade) return;
        varying.forEach((a, j) => { x.push(j); y.push(a.codes[rows[which]] / (a.levels.length - 1)); });
        x.push(varying.length, null); y.push((values[which] - low) / span, null);
      });
      traces.push({ type: "scatter", mode: "lines", x, y, line: { color: shades[shade], width: shade === SHADES - 1 ? 2 : 1 }, opacity: shade === SHADES - 1 ? 1 : 0.6, hoverinfo: "skip" });
    }
    const layout = mapLayout("", ""), room = Math.max(4, Math.min(18, Math.floor($("plot-parallel").clientWidth / (varying.length + 1) / 7)));
    const end = (label) => (label.length > room ? `${label.slice(0, room - 1)}…` : label);
    Object.assign(layout.xaxis, { type: "linear", tickvals: [...varying.keys(), varying.length], ticktext: [...varying.map((a) => cut(a.name)), escaped(metric.heading)], range: [-0.15, varying.length + 0.15], showgrid: true, gridcolor: "rgba(128,128,128,0.5)", zeroline: false });
    Object.assign(layout.yaxis, { visible: false, range: [-0.12, 1.12] });
    layout.annotations = ends.flatMap(([first, last], j) => [[first, 0, "top"], [last, 1, "bottom"]].map(([label, y, yanchor]) => ({ x: j, y, text: escaped(end(String(label))), showarrow: false, yanchor, font: { size: 11 } })));
    const chosen = rows.length < board.total ? `${count(rows.length)} of ${count(board.total)} backtests; the` : "The";
    $("parallel-note").textContent = `Each line is a backtest, from its value on each axis to its ${metric.label}. ${chosen} best hundredth stands out.`;
    Plotly.react($("plot-parallel"), traces, layout, still);
  }

  function drawImportance({ shares }) {
    const shown = shares.slice(0, 12).reverse(), layout = mapLayout("share of the variance, %", "");
    Object.assign(layout.xaxis, { type: "linear", rangemode: "tozero" });
    Object.assign(layout.yaxis, { type: "category", showgrid: false });
    Plotly.react($("plot-importance"), [{ type: "bar", orientation: "h", x: shown.map(([, share]) => 100 * share), y: shown.map(([name]) => escaped(name)), marker: { color: "#3b7dd8" }, hovertemplate: "%{y}: %{x:.1f} %<extra></extra>" }], layout, still);
  }

  function drawHistory() {
    const metric = byKey[board.objective], rows = trialRows(n).filter((i) => Number.isFinite(trialOf[i])).sort((a, b) => trialOf[a] - trialOf[b]);
    const kept = new Set(trialRows(LINES)), x = [], best = [];
    for (const i of rows) {
      const value = metric.values[i], last = best.length ? best[best.length - 1] : value, better = metric.less ? Math.min(last, value) : Math.max(last, value);
      if (!best.length || better !== last || i === rows[rows.length - 1]) { x.push(trialOf[i] + 1); best.push(better); }
    }
    const shown = rows.filter((i) => kept.has(i)), layout = mapLayout("trial", metric.heading);
    layout.xaxis.type = "linear";
    Plotly.react($("plot-history"), [
      { ...mark, x: shown.map((i) => trialOf[i] + 1), y: shown.map((i) => metric.values[i]), text: shown.map(pointText) },
      { type: "scatter", mode: "lines", x, y: best, line: { color: "#c77700", width: 2, shape: "hv" }, hovertemplate: "best up to trial %{x}: %{y:.4g}<extra></extra>" },
    ], layout, still);
  }

  function drawFront() {
    const [a, b] = ["front-x", "front-y"].map((id) => byKey[$(id).value]), layout = mapLayout(a.heading, b.heading);
    layout.xaxis.type = "linear";
    const rows = trialRows(LINES), on = Array.from({ length: n }, (_, i) => i).filter((i) => told(i) && front[i]).sort((i, j) => a.values[i] - a.values[j]);
    const points = (shown) => ({ x: shown.map((i) => a.values[i]), y: shown.map((i) => b.values[i]), text: shown.map(pointText) });
    Plotly.react($("plot-front"), [{ ...mark, ...points(rows) }, { ...mark, ...points(on), mode: "lines+markers", line: { color: "#c77700", width: 1 }, marker: { color: "#c77700", size: 8 } }], layout, still);
  }

  function drawSlice() {
    const axis = mapped[+$("slice-axis").value], metric = byKey[board.objective], rows = trialRows(LINES), layout = mapLayout(axis.name, metric.heading);
    const names = axis.levels.map(escaped);
    Object.assign(layout.xaxis, { categoryarray: names, ...thinned(axis.levels, $("plot-slices").clientWidth - 80) });
    const median = cells(axis, null, metric, "median").values[0];
    Plotly.react($("plot-slices"), [
      { ...mark, x: rows.map((i) => escaped(axis.levels[axis.codes[i]])), y: rows.map((i) => metric.values[i]), text: rows.map(pointText) },
      { type: "scatter", mode: "lines+markers", x: axis.levels.map(escaped), y: median, line: { color: "#3b7dd8", width: 2 }, hovertemplate: "median at %{x}: <b>%{y:.4g}</b><extra></extra>" },
    ], layout, still);
  }

  function setUpTrials() {
    const section = $("trials"), varying = mapped.map((a, i) => i).filter((i) => mapped[i].levels.length > 1);
    if (!section || !payload.trials || !varying.length || !byKey[board.objective]) return;
    section.hidden = false;
    drawTrials(varying);
  }

  function drawTrials(varying) {
    drawParallel(trialRows(LINES));
    if (payload.trials.importance) drawImportance(payload.trials.importance);
    else for (const one of document.querySelectorAll(".importance-of")) one.hidden = true;
    if (trialOf) { document.querySelector(".history-of").hidden = false; drawHistory(); }
    if (front && board.objectives.length > 1) {
      document.querySelector(".front-of").hidden = false;
      for (const id of ["front-x", "front-y"]) for (const key of board.objectives) $(id).append(new Option(byKey[key].heading, key));
      $("front-x").value = board.objectives[0];
      $("front-y").value = board.objectives[1];
      for (const id of ["front-x", "front-y"]) $(id).addEventListener("change", drawFront);
      drawFront();
    }
    for (const i of varying) $("slice-axis").append(new Option(mapped[i].name, i));
    $("slice-axis").addEventListener("change", drawSlice);
    drawSlice();
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
    drawAnswer(symbols[0]);
    if ($("symbol")) $("symbol").addEventListener("change", (event) => drawSymbol(event.target.value));
  }
  setUpMap();
  setUpTrials();
  setUpMultiples();
  setUpIndex();
  dark.addEventListener("change", () => { drawMultiples(order(matching())); if ($("map") && !$("map").hidden) drawMap(); if ($("trials") && !$("trials").hidden) drawParallel(trialRows(LINES)); });
})();
