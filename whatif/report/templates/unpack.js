"use strict";
// Data and plotly.js stand in the page as gzip in base 85, three signs of it replaced by ones that HTML lets alone.
const whatifUnpacked = async (packed) => {
  // the order is Python's: < is written as a full stop, > as a comma and & as a colon
  const signs = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%:()*+-;.=,?@^_`{|}~";
  const start = packed.indexOf(" ") + 1, value = new Uint8Array(128), groups = (packed.length - start) / 5;
  const bytes = new Uint8Array(groups * 4), view = new DataView(bytes.buffer);
  for (let i = 0; i < signs.length; i++) value[signs.charCodeAt(i)] = i;
  for (let g = 0, at = start; g < groups; g++) {
    let sum = 0;
    for (let k = 0; k < 5; k++) sum = sum * 85 + value[packed.charCodeAt(at++)];
    view.setUint32(g * 4, sum);
  }
  const whole = bytes.subarray(0, Number(packed.slice(0, start)));
  return new Response(new Blob([whole]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
};
