/* what a page lacks that everybody needs to use it: the body of a function that returns a list of faults */
const faults = [];
const shown = (one) => one.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true });
const known = (one) => `${one.tagName.toLowerCase()}${one.id ? "#" + one.id : ""} ${(one.textContent || "").trim().slice(0, 30)}`;
const nameOfControl = (one) => one.getAttribute("aria-label") || [...(one.labels || [])].map((l) => l.textContent).join("")
  || (one.getAttribute("aria-labelledby") || "").split(" ").map((id) => document.getElementById(id)?.textContent || "").join("") || one.textContent;
for (const one of document.querySelectorAll("button, input, select, a[href], [role=img], [role=group], section"))
  if (shown(one) && !nameOfControl(one).trim()) faults.push(`no name: ${known(one)}`);
const ids = [...document.querySelectorAll("[id]")].filter((one) => !one.closest(".plot")).map((one) => one.id);
for (const id of new Set(ids)) if (ids.filter((other) => other === id).length > 1) faults.push(`two of id ${id}`);
for (const [tag, count] of [["main", 1], ["h1", 1], ["header", 1]])
  if (document.querySelectorAll(tag).length !== count) faults.push(`${document.querySelectorAll(tag).length} of ${tag}`);
if (!document.documentElement.lang || !document.title) faults.push("no language or no title");
let level = 0;
for (const one of document.querySelectorAll("h1, h2, h3, h4")) {
  if (!shown(one)) continue;
  const own = Number(one.tagName[1]);
  if (own > level + 1) faults.push(`a level is left out before ${known(one)}`);
  level = own;
}
for (const one of document.querySelectorAll("table")) if (shown(one) && one.rows.length && !one.querySelector("th[scope]")) faults.push(`no headings: ${known(one)}`);
for (const one of document.querySelectorAll(".scroll"))
  if (shown(one) && one.scrollWidth > one.clientWidth && one.tabIndex < 0 && !one.querySelector("[tabindex='0'], button")) faults.push(`no keyboard scrolls ${known(one)}`);
/* contrast by WCAG 2: 4.5 of text, 3 of large text */
const parts = (text) => { const v = text.match(/[\d.]+/g).map(Number); return v.length > 3 ? v : [...v, 1]; };
const over = (top, under) => [0, 1, 2].map((k) => top[k] * top[3] + under[k] * (1 - top[3]));
const light = (rgb) => { const [r, g, b] = rgb.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4)); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const ground = (one) => {
  const stack = [];
  for (let at = one; at; at = at.parentElement) { const c = parts(getComputedStyle(at).backgroundColor); stack.push(c); if (c[3] === 1) break; }
  return stack.reverse().reduce((under, top) => over(top, under), [255, 255, 255]);
};
const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (words.nextNode()) {
  const one = words.currentNode.parentElement;
  if (!words.currentNode.textContent.trim() || !shown(one) || one.closest("script, .plot, option, .skip") || one.closest(":disabled")) continue;
  const style = getComputedStyle(one), under = ground(one), ink = over(parts(style.color), under);
  const [a, b] = [light(ink), light(under)].sort((p, q) => q - p), ratio = (a + 0.05) / (b + 0.05);
  const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && Number(style.fontWeight) >= 700);
  if (ratio < (large ? 3 : 4.5)) faults.push(`contrast ${ratio.toFixed(2)}: ${known(one)}`);
}
return [...new Set(faults)];
