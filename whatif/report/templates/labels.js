/* an axis with as many of its labels as stand upright beside each other, evenly picked; date over time, or time over date */
function whatifFewer(axis, room) {
  if (!axis || !axis.ticktext || !axis.ticktext.length) return axis;
  const texts = Array.from(axis.ticktext, (one) => String(one).replace(" ", "<br>")), values = Array.from(axis.tickvals);
  const wide = 18 + 7 * Math.max(...texts.flatMap((one) => one.split("<br>").map((part) => part.length)));
  const by = Math.max(1, Math.ceil((texts.length * wide) / Math.max(room, 1))), kept = (_, k) => k % by === 0;
  return { ...axis, tickangle: 0, tickvals: values.filter(kept), ticktext: texts.filter(kept) };
}
