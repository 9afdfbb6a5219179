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
      const layout = { ...map.layout, font: { ...map.layout.font, color: ink } };
      layout.margin = { l: 90, r: 8, t: 46, b: 60 };
      Plotly.react(document.getElementById(`map-${k}`), map.data, layout, config);
    });
  };
  draw();
  dark.addEventListener("change", draw);
})();
