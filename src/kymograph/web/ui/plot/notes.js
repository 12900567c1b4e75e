// What is drawn over a plot: gaps as areas, and moments as thin lines, the ones that say something with words.
const ROWS = 3;
const ROWS_LOW = 2;
const LOW_PX = 150;
const ROW_PX = 16;
const FONT_PX = 11.5;
const PAD_PX = 4;
const FLAGGED = ["mark", "place"];

/** Rows of words over a plot of that height in pixels. */
function rowsOf({ worded, marks }, height) {
  if (!worded) return 0;
  return Math.min(height < LOW_PX ? ROWS_LOW : ROWS, marks.filter(({ text }) => text).length);
}

/** Pixels that the words take above a plot. */
export function headOf(notes, height) {
  return rowsOf(notes, height) * ROW_PX;
}

function inkOf(kind, ink) {
  return ink[kind] ?? ink.text;
}

function drawGap({ from, to, quiet }, { ctx, bbox, x }, ink) {
  const colour = quiet ? ink.text : ink.alarm;
  const width = Math.max(2 * devicePixelRatio, x(to) - x(from));
  ctx.fillStyle = `${colour}${quiet ? "22" : "3a"}`;
  ctx.fillRect(x(from), bbox.top, width, bbox.height);
  ctx.fillStyle = colour;
  ctx.fillRect(x(from), bbox.top, width, 3 * devicePixelRatio);
}

function drawLine({ at, kind }, { ctx, bbox, x }, ink) {
  const px = Math.round(x(at));
  ctx.fillStyle = inkOf(kind, ink);
  ctx.globalAlpha = FLAGGED.includes(kind) ? 1 : 0.7;
  ctx.fillRect(px, bbox.top, devicePixelRatio, bbox.height);
  ctx.globalAlpha = 1;
  if (!FLAGGED.includes(kind)) return;
  ctx.beginPath();
  ctx.moveTo(px, bbox.top);
  ctx.lineTo(px + 9 * devicePixelRatio, bbox.top + 4 * devicePixelRatio);
  ctx.lineTo(px, bbox.top + 8 * devicePixelRatio);
  ctx.fill();
}

/** Where words have room: `{ mark, at, row, left, width }`, none over another; the rest are lines only. */
function placed(marks, rows, { ctx, bbox, x }) {
  const free = Array(rows).fill(-Infinity);
  const found = [];
  const pad = PAD_PX * devicePixelRatio;
  for (const mark of marks.filter(({ text }) => text)) {
    const at = x(mark.at);
    if (at < bbox.left || at > bbox.left + bbox.width) continue;
    const width = ctx.measureText(mark.text).width + 2 * pad;
    const left = at + width > bbox.left + bbox.width ? at - width : at + devicePixelRatio;
    const row = free.findIndex((until) => until <= left);
    if (row < 0 || left < bbox.left) continue;
    free[row] = left + width;
    found.push({ mark, at: Math.round(at), row, left, width });
  }
  return found;
}

function drawWords(marks, rows, place, ink) {
  const { ctx, bbox } = place;
  const ratio = devicePixelRatio;
  ctx.font = `${FONT_PX * ratio}px "Plex", system-ui, sans-serif`;
  ctx.textBaseline = "middle";
  ctx.textAlign = "left";
  const topOf = (row) => bbox.top - (row + 1) * ROW_PX * ratio;
  const found = placed(marks, rows, place);
  for (const { mark, at, row } of found) {
    ctx.fillStyle = inkOf(mark.kind, ink);
    ctx.fillRect(at, topOf(row), ratio, bbox.top - topOf(row));
  }
  for (const { mark, row, left, width } of found) {
    ctx.fillStyle = ink.ground; // over the stems of others
    ctx.fillRect(left, topOf(row), width, ROW_PX * ratio);
    ctx.fillStyle = inkOf(mark.kind, ink);
    ctx.fillText(mark.text, left + PAD_PX * ratio, topOf(row) + (ROW_PX / 2) * ratio);
  }
}

/**
 * Draw gaps `{ from, to, quiet }` and marks `{ at, kind, text }`, in seconds and in the order of time, on a
 * uPlot; `worded` writes the texts above the lines, in the room that `headOf` says. `ink` has colours by kind, and `ground` and `text`.
 */
export function drawNotes(plot, notes, ink) {
  const { gaps, marks } = notes;
  const { ctx, bbox } = plot;
  const place = { ctx, bbox, x: (t) => plot.valToPos(t, "x", true) };
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  gaps.forEach((gap) => drawGap(gap, place, ink));
  marks.forEach((mark) => drawLine(mark, place, ink));
  ctx.restore();
  ctx.save();
  drawWords(marks, rowsOf(notes, plot.height), place, ink);
  ctx.restore();
}
