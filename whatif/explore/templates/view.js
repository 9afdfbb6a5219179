window.whatifReady = (async () => {
  const [text, library] = await Promise.all(["payload", "plotly"].map((id) => whatifUnpacked($(id).textContent)));
  const told = JSON.parse(text), { about, objective, shown, base } = told;
  const plotly = document.createElement("script");
  plotly.textContent = library;
  document.head.append(plotly);
  $("name").textContent = `Study ${told.study}`;
  $("said").textContent = told.made;
  const changes = unlike(base.settings, shown.settings), moved = changes.length > 0;
  const title = told.title + (moved ? `; changed: ${changes.map(([name, , after]) => `${name} ${after}`).join(", ")}` : "");
  $("title").textContent = $("title").title = title;
  $("badge").textContent = told.standing;
  $("badge").className = shown.ranked || told.kept ? "" : "never";
  $("unchanged").textContent = moved ? "Beside the configuration that it starts from:" : "Nothing: this is the configuration as the study ran it.";
  if (moved) unlikeTable($("changes"), changes, ["as it was", "changed"]);
  $("changes").hidden = !moved;
  if (Object.keys(told.worth.worth).length) {
    $("worth").hidden = false;
    $("worth-title").textContent = `What each change alone was worth (${about[objective].heading})`;
    worthTable($("worth-table"), about, objective, told.worth);
  }
  $("test-said").textContent = told.test;
  const rows = document.createElement("tbody");
  for (const [name, value] of Object.entries(told.origin)) {
    const row = make("tr");
    row.append(Object.assign(make("th", name), { scope: "row" }), make("td", value));
    rows.append(row);
  }
  $("origin").replaceChildren(rows);
  const names = [...new Set([objective, ...SHOWN, ...Object.keys(shown.metrics)])].filter((name) => name in shown.metrics);
  metricsTable($("metrics"), about, names, moved ? ["as it was", "changed"] : ["on validate"], moved ? [base.metrics, shown.metrics] : [shown.metrics]);
  const { trades } = told, listed = trades.closed.length;
  $("trades-page").textContent = trades.count > listed ? `The first ${number(listed)} of ${number(trades.count)} trades.` : `${number(trades.count)} trades.`;
  $("trades").hidden = !listed;
  tradesTable($("trades"), trades, null);
  const pair = told.pins.length === 2 ? told.pins : told.pins.length ? [told.pins[0], { name: title, run: shown }] : [];
  $("compared").hidden = !pair.length;
  if (pair.length) {
    $("pins").replaceChildren(...pair.map((one, k) => {
      const label = make("span", undefined, `pin pin-${k}`);
      label.append(make("b", k ? "B" : "A"), ` ${one.name}`);
      return label;
    }));
    const [a, b] = pair.map((one) => one.run), rows = unlike(a.settings, b.settings);
    metricsTable($("sides"), about, names.slice(0, 12), ["A", "B"], [a.metrics, b.metrics]);
    unlikeTable($("unlike"), rows.length ? rows : [["nothing", "–", "–"]], ["A", "B"]);
  }
  const draw = () => {
    const lines = moved ? [{ name: "as it was", told: base, colour: GREY, width: 1.2 }] : [];
    drawLines("lines", [...lines, { name: moved ? "changed" : "equity", told: shown, colour: BLUE(), width: 1.6 }], "shown");
    if (pair.length) drawLines("both", pair.map((one, k) => ({ name: "AB"[k], told: one.run, colour: k ? ORANGE() : BLUE(), width: 1.6 })), "both");
  };
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
