// The last whole turn of a lidar, as seen from above.

const RINGS = 4;

/** Return the distance of the outermost ring: a round number not below most of what was seen. */
function reach(distances) {
  const sorted = [...distances].sort((a, b) => a - b);
  const most = sorted[Math.floor((sorted.length - 1) * 0.995)] || 1;
  const power = 10 ** Math.floor(Math.log10(most / RINGS));
  const step = [1, 2, 2.5, 5, 10].find((one) => one * power * RINGS >= most) * power;
  return { step, max: step * RINGS };
}

function drawTurn(canvas, turn) {
  const side = canvas.clientWidth * devicePixelRatio;
  canvas.width = side;
  canvas.height = side;
  const pen = canvas.getContext("2d");
  const middle = side / 2;
  const scale = (middle - 26 * devicePixelRatio) / turn.reach.max;
  pen.lineWidth = devicePixelRatio;
  pen.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
  drawRings(pen, turn, middle, scale);
  pen.fillStyle = colour("trace-1");
  const dot = 1.3 * devicePixelRatio;
  turn.angles.forEach((angle, i) => {
    const far = turn.distances[i] * scale;
    const turned = (angle * Math.PI) / 180;
    const [x, y] = [middle + far * Math.sin(turned), middle - far * Math.cos(turned)];
    pen.fillRect(x - dot, y - dot, 2 * dot, 2 * dot);
  });
}

function drawRings(pen, turn, middle, scale) {
  pen.strokeStyle = colour("grid");
  pen.fillStyle = colour("muted");
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  for (let ring = 1; ring <= RINGS; ring += 1) {
    const radius = ring * turn.reach.step * scale;
    pen.beginPath();
    pen.arc(middle, middle, radius, 0, 2 * Math.PI);
    pen.stroke();
    const label = `${Number((ring * turn.reach.step).toPrecision(4))} ${turn.unit}`;
    pen.fillText(label, middle + radius * 0.383, middle - radius * 0.924);
  }
  for (let angle = 0; angle < 360; angle += 45) {
    const [x, y] = [Math.sin((angle * Math.PI) / 180), -Math.cos((angle * Math.PI) / 180)];
    const edge = turn.reach.max * scale;
    pen.beginPath();
    pen.moveTo(middle, middle);
    pen.lineTo(middle + edge * x, middle + edge * y);
    pen.stroke();
    const out = edge + 14 * devicePixelRatio;
    pen.fillText(`${angle}°`, middle + out * x, middle + out * y);
  }
}

function addTurn(told) {
  const turn = { ...told, angles: unpack(told.angle), distances: unpack(told.distance) };
  turn.reach = reach(turn.distances);
  const section = document.createElement("section");
  const head = document.createElement("div");
  const title = document.createElement("h2");
  title.textContent = `${turn.name}, last whole turn`;
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${turn.distances.length} distances around`);
  head.append(title);
  section.append(head, canvas);
  document.getElementById("turns").append(section);
  const draw = () => drawTurn(canvas, turn);
  draw();
  return draw;
}
