window.whatifReady = (async () => {
  const [text, library] = await Promise.all(["payload", "plotly"].map((id) => whatifUnpacked(document.getElementById(id).textContent)));
  const { sides } = JSON.parse(text), plotly = document.createElement("script");
  plotly.textContent = library;
  document.head.append(plotly);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  // plotly.js would offer to send charts to its maker's cloud; this page sends nothing anywhere
  const config = { responsive: true, displaylogo: false, showSendToCloud: false, plotlyServerURL: "", displayModeBar: false };
  // one scale of colours for all, or noise would look as strong as an edge
  const bound = Math.max(...sides.map((side) => (side.map ? side.map.data[0].zmax : 0))), lowest = Math.min(...sides.map((side) => (side.map ? side.map.data[0].zmin : 0)));
  for (const side of sides) if (side.map) Object.assign(side.map.data[0], { zmax: bound, zmin: lowest });
  const money = [...Array(10).keys()].flatMap((k) => [1, 2, 5].map((v) => v * 10 ** k));
  const atDark = [[0, "#c25a52"], [0.25, "#74403d"], [0.5, "#262b33"], [0.75, "#2c4c7d"], [1, "#3f78c9"]];
  const draw = () => {
    const ink = getComputedStyle(document.body).color;
    sides.forEach((side, k) => {
      for (const [name, height] of [["equity", 260], ["map", 250]]) {
        const place = document.getElementById(`${name}-${k}`);
        if (!place) continue;
        if (!side[name]) { place.remove(); continue; }
        const layout = { ...side[name].layout, height };
        layout.font = { ...layout.font, color: ink };
        const narrow = place.clientWidth < 420, room = place.clientWidth - 90;
        layout.margin = { l: 66, r: 8, t: name === "map" ? 12 : narrow ? 98 : 40, b: 40 };
        if (narrow && name === "equity") layout.height += 58;
        layout.xaxis = whatifFewer(layout.xaxis, room);
        const data = side[name].data.map((one) => (one.type !== "heatmap" ? one : {
          ...one, ...(dark.matches ? { colorscale: atDark } : {}),
          colorbar: { ...one.colorbar, ...(narrow ? { title: { text: "" }, thickness: 8 } : {}) },
        }));
        if (name === "equity") {
          layout.yaxis = { ...layout.yaxis, type: "log", tickvals: money, ticktext: money.map((v) => v.toLocaleString("en-US")), title: { text: "" } };
          layout.annotations = layout.annotations.map((one) => ({ ...one, font: { size: 11, color: ink } }));
        }
        if (name === "map") layout.shapes = (layout.shapes || []).map((shape) => ({ ...shape, line: { color: ink, width: 3 } }));
        Plotly.react(place, data, layout, config);
      }
    });
  };
  draw();
  dark.addEventListener("change", draw);
})();
