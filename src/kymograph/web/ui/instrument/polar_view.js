// The room seen from a scanning sensor: 0° is up, angles run clockwise, distance is the radius.
import { colour } from "../shell/theme.js";

const TURNS_KEPT = 4;
const POINTS_MAX = 20_000;
const FADE = [1, 0.8, 0.24, 0.12, 0.06];
const RANGES_M = [0.5, 1, 1.5, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 25, 30, 40, 50, 60, 80, 100, 120];
const STEPS_M = [0.1, 0.25, 0.5, 1, 2, 2.5, 5, 10, 20, 25, 50];
const COLOURS = 32;

function emptyTurn(scan) {
  return { scan, distance: [], angle: [], tone: [] };
}

/** Mix two colours written `#rrggbb`. */
function mix(a, b, part) {
  const at = (text, i) => parseInt(text.slice(1 + 2 * i, 3 + 2 * i), 16);
  return `rgb(${[0, 1, 2].map((i) => Math.round(at(a, i) + (at(b, i) - at(a, i)) * part)).join(",")})`;
}

/** Return a ramp of colours through the stops that the style sheet declares. */
function ramp() {
  const stops = ["--ramp-1", "--ramp-2", "--ramp-3", "--ramp-4"].map(colour);
  return Array.from({ length: COLOURS }, (_, i) => {
    const place = (i / (COLOURS - 1)) * (stops.length - 1);
    const from = Math.min(Math.floor(place), stops.length - 2);
    return mix(stops[from], stops[from + 1], place - from);
  });
}

/**
 * Keeps the last turns and draws them. `mini` leaves the lettering out. `range` is the radius in metres, 0
 * chooses it from the data. `tone` is which column gives the colour, with its `low` and `high`.
 */
export class PolarView {
  constructor(canvas, { mini = false } = {}) {
    this.canvas = canvas;
    this.mini = mini;
    this.range = 0;
    this.autoRange = 4;
    this.tone = { name: "distance", low: 0, high: 8 };
    this.turns = [emptyTurn(null)];
    this.points = 0;
    this.turned = 0;
    this.pointer = null;
    this.retint();
  }

  /** Read the colours again, after the theme has changed. */
  retint() {
    this.ramp = ramp();
    this.ink = {
      back: colour("--scope"),
      line: colour("--scope-line"),
      text: colour("--scope-text"),
      bright: colour("--ink"),
    };
  }

  /** Colour by another column; what is there was kept with the old one and goes. */
  tint(tone) {
    this.tone = tone;
    this.turns = [emptyTurn(null)];
  }

  get radiusM() {
    return this.range || this.autoRange;
  }

  /** Fit the colours to what is shown, or where the channel does not say how far it reaches, to a turn. */
  #fitTone({ tone }) {
    if (this.tone.name === "distance") this.tone.high = this.radiusM;
    else if (this.tone.open) this.tone.high = tone.reduce((a, b) => Math.max(a, b), 1);
  }

  /** Points of the last whole turn. */
  get pointsInTurn() {
    return this.turns[1]?.distance.length ?? this.turns[0].distance.length;
  }

  /** Add samples in metres and degrees; `scan` numbers the turns, without it a wrap of the angle does. */
  add({ distance, angle, tone, scan }) {
    for (let i = 0; i < distance.length; i += 1) {
      this.#turnFor(angle[i], scan?.[i]);
      if (!(distance[i] > 0)) continue; // 0 or NaN: nothing came back
      const turn = this.turns[0];
      turn.distance.push(distance[i]);
      turn.angle.push(angle[i]);
      turn.tone.push(tone[i]);
    }
    this.points += distance.length;
  }

  #turnFor(angle, scan) {
    const turn = this.turns[0];
    const over =
      scan === undefined ? angle < (turn.lastAngle ?? 0) - 180 : turn.scan !== null && scan !== turn.scan;
    turn.lastAngle = angle;
    if (turn.scan === null) turn.scan = scan ?? null;
    if (!over && turn.distance.length < POINTS_MAX) return;
    this.turned += 1;
    this.#chooseRange(turn);
    this.#fitTone(turn);
    this.turns.unshift({ ...emptyTurn(scan ?? null), lastAngle: angle });
    this.turns.length = Math.min(this.turns.length, TURNS_KEPT + 1);
  }

  #chooseRange({ distance }) {
    if (distance.length < 20) return;
    const sorted = Float64Array.from(distance).sort();
    const far = sorted[Math.floor(sorted.length * 0.98)] * 1.04;
    const wanted = RANGES_M.find((range) => range >= far) ?? far;
    if (wanted > this.autoRange || far < this.autoRange * 0.6) this.autoRange = wanted;
  }

  /** Make the radius one step smaller (-1) or larger (+1). */
  zoom(step) {
    const now = RANGES_M.findIndex((range) => range >= this.radiusM * 0.999);
    this.range = RANGES_M[Math.max(0, Math.min(RANGES_M.length - 1, now + step))];
  }

  /** Return the drawn point nearest to a place on the canvas, within a few pixels, or null. */
  nearest(px, py) {
    const turn = this.turns[1] ?? this.turns[0];
    let best = null;
    let bestSquare = 18 ** 2;
    for (let i = 0; i < turn.distance.length; i += 1) {
      const [x, y] = this.#place(turn.distance[i], turn.angle[i]);
      const square = (x - px) ** 2 + (y - py) ** 2;
      if (square < bestSquare) {
        bestSquare = square;
        best = { distance: turn.distance[i], angle: turn.angle[i], tone: turn.tone[i], x, y };
      }
    }
    return best;
  }

  #place(distance, angle) {
    const a = (angle * Math.PI) / 180;
    const r = distance * this.scale;
    return [this.cx + Math.sin(a) * r, this.cy - Math.cos(a) * r];
  }

  draw() {
    const ratio = devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width || !height) return;
    if (
      this.canvas.width !== Math.round(width * ratio) ||
      this.canvas.height !== Math.round(height * ratio)
    ) {
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
    }
    this.cx = width / 2;
    this.cy = height / 2;
    const radius = Math.min(width, height) / 2 - (this.mini ? 6 : 26);
    this.scale = radius / this.radiusM;
    const ctx = this.canvas.getContext("2d");
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    ctx.clearRect(0, 0, width, height);
    this.#drawRings(ctx, radius, Math.hypot(width, height) / 2);
    this.#drawPoints(ctx, width, height);
    this.#drawSensor(ctx);
    if (this.pointer) this.#drawPointer(ctx);
  }

  #drawRings(ctx, radius, reach) {
    const parts = this.mini ? 3 : 5;
    const step = STEPS_M.find((size) => this.radiusM / size <= parts) ?? this.radiusM / 4;
    ctx.lineWidth = 1;
    ctx.strokeStyle = this.ink.line;
    for (let degrees = 0; degrees < 360; degrees += this.mini ? 90 : 30) {
      const a = (degrees * Math.PI) / 180;
      ctx.beginPath();
      ctx.moveTo(this.cx, this.cy);
      ctx.lineTo(this.cx + Math.sin(a) * radius, this.cy - Math.cos(a) * radius);
      ctx.stroke();
      if (!this.mini)
        this.#label(
          ctx,
          `${degrees}°`,
          this.cx + Math.sin(a) * (radius + 14),
          this.cy - Math.cos(a) * (radius + 14),
        );
    }
    for (let r = step; r * this.scale <= reach; r += step) {
      const edge = r * this.scale > radius + 1;
      ctx.globalAlpha = edge ? 0.35 : 1;
      ctx.beginPath();
      ctx.arc(this.cx, this.cy, r * this.scale, 0, 2 * Math.PI);
      ctx.stroke();
      ctx.globalAlpha = 1;
      if (!this.mini && !edge) this.#ringLabel(ctx, r);
    }
  }

  #ringLabel(ctx, r) {
    const a = (75 * Math.PI) / 180;
    const text = `${Number(r.toFixed(2))} m`;
    const [x, y] = [this.cx + Math.sin(a) * r * this.scale, this.cy - Math.cos(a) * r * this.scale];
    ctx.fillStyle = this.ink.back;
    const wide = ctx.measureText(text).width + 8;
    ctx.fillRect(x - wide / 2, y - 8, wide, 16);
    this.#label(ctx, text, x, y);
  }

  #label(ctx, text, x, y) {
    ctx.font = '12px "Plex", system-ui, sans-serif';
    ctx.textAlign = "center";
    ctx.textBaseline = "middle";
    ctx.fillStyle = this.ink.text;
    ctx.fillText(text, x, y);
  }

  #drawPoints(ctx, width, height) {
    const size = this.mini ? 1.6 : Math.max(2, Math.min(width, height) / 260);
    const { low, high } = this.tone;
    const perTone = (COLOURS - 1) / (high - low || 1);
    for (let age = this.turns.length - 1; age >= 0; age -= 1) {
      const { distance, angle, tone } = this.turns[age];
      ctx.globalAlpha = FADE[age];
      for (let i = 0; i < distance.length; i += 1) {
        const [x, y] = this.#place(distance[i], angle[i]);
        ctx.fillStyle =
          this.ramp[Math.max(0, Math.min(COLOURS - 1, Math.round((tone[i] - low) * perTone)))];
        ctx.fillRect(x - size / 2, y - size / 2, size, size);
      }
    }
    ctx.globalAlpha = 1;
  }

  #drawSensor(ctx) {
    const r = this.mini ? 3 : 5;
    ctx.fillStyle = this.ink.bright;
    ctx.beginPath();
    ctx.moveTo(this.cx, this.cy - r * 1.7);
    ctx.lineTo(this.cx + r, this.cy + r);
    ctx.lineTo(this.cx, this.cy + r * 0.4);
    ctx.lineTo(this.cx - r, this.cy + r);
    ctx.fill();
  }

  #drawPointer(ctx) {
    ctx.strokeStyle = this.ink.bright;
    ctx.lineWidth = 1.5;
    ctx.beginPath();
    ctx.arc(this.pointer.x, this.pointer.y, 7, 0, 2 * Math.PI);
    ctx.moveTo(this.cx, this.cy);
    ctx.setLineDash([3, 4]);
    ctx.lineTo(this.pointer.x, this.pointer.y);
    ctx.stroke();
    ctx.setLineDash([]);
  }
}
