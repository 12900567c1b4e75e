// Panels over one time axis: dragging in one zooms all.

const HEIGHT = 190;
const LEFT = 78;
const ROWS = 3;
const ROW_PX = 19;
const data = JSON.parse(document.getElementById("data").textContent);
const whole = data.counted ? [0, data.last - data.first] : [data.first, data.last];
if (whole[0] === whole[1]) whole[1] += 1;
let shown = [...whole];
const times = data.tracks.map((track) => unpack(track).map((t) => t + whole[0]));
const moments = data.moments.map((one) => ({ ...one, t: data.counted ? one.t - data.first : one.t }));
const plots = [];

/** Show a stretch of time in every panel. */
function show(from, to) {
  const length = Math.min(Math.max(to - from, 1e-5), whole[1] - whole[0]);
  const start = Math.min(Math.max(from, whole[0]), whole[1] - length);
  shown = [start, start + length];
  plots.forEach(({ plot }) => plot.setScale("x", { min: shown[0], max: shown[1] }));
  placeMoments();
}

function zoom(factor) {
  const middle = (shown[0] + shown[1]) / 2;
  const half = ((shown[1] - shown[0]) / 2) * factor;
  show(middle - half, middle + half);
}

function move(share) {
  const step = (shown[1] - shown[0]) * share;
  show(shown[0] + step, shown[1] + step);
}

/** Return the two sides of each line as uPlot's series: filled between them where rows were reduced. */
function seriesOf(panel) {
  const series = [{}];
  const bands = [];
  const columns = [times[panel.track]];
  panel.lines.forEach((line, i) => {
    const stroke = () => colour(`trace-${i + 1}`);
    const paths = line.labels.length ? uPlot.paths.stepped({ align: 1 }) : undefined;
    const one = { label: line.name, stroke, width: 1.25, paths, points: { size: 4 } };
    line.at = [series.length];
    columns.push(unpack(line.high ?? line.low));
    series.push(one);
    if (line.high) {
      line.at.push(series.length);
      columns.push(unpack(line.low));
      series.push({ ...one, points: { show: false } });
      bands.push({ series: line.at, fill: () => `${colour(`trace-${i + 1}`)}66` });
    }
  });
  return { series, bands, columns };
}

/** Return the words of a panel whose values all stand for the same words; none if they do not. */
function wordsOf({ lines }) {
  const words = lines[0].labels;
  return lines.every(({ labels }) => labels.join() === words.join()) ? words : [];
}

function rangeOf(panel, low, high) {
  const words = wordsOf(panel);
  if (words.length) return [-0.3, words.length - 0.7];
  if (low === null) return [0, 1];
  const margin = (high - low) * 0.06 || Math.max(Math.abs(high) * 0.05, 0.5);
  return [low - margin, high + margin];
}

function axesOf(panel) {
  const look = {
    stroke: () => colour("muted"),
    grid: { stroke: () => colour("grid"), width: 1 },
    ticks: { show: false },
    font: "12px system-ui, sans-serif",
  };
  const words = wordsOf(panel);
  const numbers = (u, splits, axis, space, step) => splits.map((value) => tick(value, step));
  const time = { values: data.counted ? numbers : timeTicks, size: 44, space: 90 };
  const values = words.length
    ? { splits: () => words.map((_, i) => i), values: (u, splits) => splits.map((i) => words[i]) }
    : { values: numbers };
  return [
    { ...look, ...time, grid: { show: false }, ticks: { stroke: () => colour("grid"), size: 4 } },
    { ...look, ...values, size: LEFT, space: 34 },
  ];
}

function options(panel, width) {
  const { series, bands } = panel.made;
  return {
    width,
    height: HEIGHT + (panel.lines.length > 5 ? 40 : 0),
    legend: { show: false },
    padding: [8, 14, 0, 0],
    cursor: {
      y: false,
      sync: { key: "all", setSeries: false },
      drag: { x: true, y: false, setScale: false },
    },
    scales: {
      x: { time: !data.counted, range: () => shown },
      y: { range: (u, low, high) => rangeOf(panel, low, high) },
    },
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    axes: axesOf(panel),
    series,
    bands,
    hooks: { setSelect: [selected], setCursor: [(u) => told(panel, u)], draw: [drawMoments] },
  };
}

function selected(plot) {
  const { left, width } = plot.select;
  plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
  if (width > 3) show(plot.posToVal(left, "x"), plot.posToVal(left + width, "x"));
}

function told(panel, plot) {
  const at = plot.cursor.idx;
  const t = at === null || at === undefined ? null : plot.data[0][at];
  panel.lines.forEach((line) => {
    const [high, low] = [plot.data[line.at[0]][at], plot.data[line.at[line.at.length - 1]][at]];
    line.value.textContent = t === null ? "" : valueText(line, low, high);
  });
  document.getElementById("clock").textContent = t === null ? "" : moment(t);
}

function moment(t) {
  return data.counted ? `${number(t)} s` : new Date(Math.round(t * 1000)).toISOString().replace("T", " ");
}

function drawMoments(plot) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.lineWidth = devicePixelRatio;
  moments.forEach(({ t, kind }) => {
    const x = Math.round(plot.valToPos(t, "x", true)) + 0.5;
    if (x < bbox.left || x > bbox.left + bbox.width) return;
    ctx.strokeStyle = colour({ alarm: "alarm", mark: "ink", run: "run" }[kind] ?? "muted");
    ctx.globalAlpha = 0.6;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  });
  ctx.restore();
}

/** Write what happened above the panels, in as many rows as fit without being on one another. */
function placeMoments() {
  const list = document.getElementById("moments");
  list.replaceChildren();
  if (!moments.length || !plots.length) return;
  list.style.height = `${ROWS * ROW_PX + 6}px`;
  const area = plots[0].plot.over.getBoundingClientRect();
  const start = area.left - list.getBoundingClientRect().left;
  const free = Array(ROWS).fill(-Infinity);
  for (const one of moments) {
    if (one.t < shown[0] || one.t > shown[1]) continue;
    // Not asked of the plot, which takes a new scale only after this.
    const x = start + ((one.t - shown[0]) / (shown[1] - shown[0])) * area.width;
    const item = document.createElement("li");
    item.className = one.kind;
    item.textContent = one.text;
    item.title = `${moment(one.t)}  ${one.kind}: ${one.text}`;
    list.append(item);
    const width = item.offsetWidth;
    const before = x + width > list.clientWidth;
    const left = before ? x - width : x;
    const row = free.findIndex((end) => end < left);
    if (row < 0) {
      item.remove();
      continue;
    }
    item.classList.toggle("before", before);
    item.style.left = `${left}px`;
    item.style.top = `${(ROWS - 1 - row) * ROW_PX}px`;
    item.style.height = `${(row + 1) * ROW_PX}px`;
    free[row] = left + width + 8;
  }
}

function head(panel) {
  const bar = document.createElement("div");
  const title = document.createElement("h2");
  title.textContent = panel.title;
  if (panel.unit) {
    const unit = document.createElement("small");
    unit.textContent = panel.unit;
    title.append(unit);
  }
  bar.append(title);
  panel.lines.forEach((line, i) => {
    const button = document.createElement("button");
    button.className = "line";
    button.style.setProperty("--colour", `var(--trace-${i + 1})`);
    button.setAttribute("aria-pressed", "true");
    button.textContent = line.name;
    line.value = document.createElement("span");
    if (line.high) line.value.className = "span"; // as wide as it will get, so that nothing moves
    button.append(line.value);
    button.addEventListener("click", () => toggle(panel, line, button));
    bar.append(button);
  });
  return bar;
}

function toggle(panel, line, button) {
  const on = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", String(on));
  line.at.forEach((at) => panel.plot.setSeries(at, { show: on }));
}

function add(panel) {
  const section = document.createElement("section");
  section.setAttribute("aria-label", panel.title);
  section.append(head(panel));
  document.getElementById("panels").append(section);
  panel.made = seriesOf(panel);
  panel.room = () => section.clientWidth - 29;
  panel.plot = new uPlot(options(panel, panel.room()), panel.made.columns, section);
  plots.push(panel);
}

document.getElementById("subtitle").textContent = data.subtitle;
document.getElementById("note").textContent = data.note;
const turns = data.turns.map(addTurn);
data.panels.forEach(add);
placeMoments();
document.getElementById("whole").addEventListener("click", () => show(...whole));
document.getElementById("in").addEventListener("click", () => zoom(0.5));
document.getElementById("out").addEventListener("click", () => zoom(2));
document.getElementById("panels").addEventListener("dblclick", () => show(...whole));
document.addEventListener("keydown", ({ key, ctrlKey, metaKey, altKey }) => {
  if (ctrlKey || metaKey || altKey) return;
  const does = {
    ArrowLeft: () => move(-0.2), ArrowRight: () => move(0.2), "+": () => zoom(0.5), "-": () => zoom(2),
    Escape: () => show(...whole),
  }; // prettier-ignore
  does[key]?.();
});
addEventListener("resize", () => {
  plots.forEach(({ plot, room }) => plot.setSize({ width: room(), height: plot.height }));
  turns.forEach((draw) => draw());
  placeMoments();
});
matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => {
  plots.forEach(({ plot }) => plot.redraw(true));
  turns.forEach((draw) => draw());
});
