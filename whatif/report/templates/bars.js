window.whatifReady = (async () => {
  const [text, library] = await Promise.all(["payload", "plotly"].map((id) => whatifUnpacked(document.getElementById(id).textContent)));
  const { maps } = JSON.parse(text), plotly = document.createElement("script");
  plotly.textContent = library;
  document.head.append(plotly);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  // plotly.js would offer to send charts to its maker's cloud; this page sends nothing anywhere
  const config = { responsive: true, displaylogo: false, showSendToCloud: false, plotlyServerURL: "" };
  const draw = () => {
    const ink = getComputedStyle(document.body).color;
    maps.forEach((map, k) => {
      const place = document.getElementById(`map-${k}`), room = place.clientWidth - 100, narrow = place.clientWidth < 600;
      const layout = { ...map.layout, font: { ...map.layout.font, color: ink } };
      layout.margin = narrow ? { l: 58, r: 4, t: layout.margin.t, b: 52 } : { l: 90, r: 8, t: 46, b: 60 };
      for (const name of ["xaxis", "xaxis2"]) if (layout[name]) layout[name] = whatifFewer(layout[name], room);
      if (layout.xaxis.nticks) layout.xaxis = { ...layout.xaxis, nticks: Math.max(2, Math.min(12, Math.floor(room / 95))), tickangle: 0 };
      if (narrow) for (const name of ["yaxis", "yaxis2"]) if (layout[name]) layout[name] = { ...layout[name], title: { text: "" }, automargin: true };
      const bar = narrow ? { title: { text: "%" }, thickness: 8 } : {};
      const data = map.data.map((one) => (one.colorbar ? { ...one, colorbar: { ...one.colorbar, ...bar } } : one));
      Plotly.react(place, data, layout, { ...config, displayModeBar: !narrow });
    });
  };
  draw();
  dark.addEventListener("change", draw);
})();
