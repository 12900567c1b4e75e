// A map without a server: degrees to pixels around the fleet, lines of latitude and longitude, a scale.

const KM_PER_DEGREE = 111.32;
const SPAN_MIN_DEG = 0.02;
const EDGE_PX = 56;
const SCALE_PX = 150;
const LINES_APART_PX = 90;
const STEPS_DEG = [
  0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 45,
];

/** A fleet on both sides of the date line is one fleet: longitudes then go on beyond 180°. */
export function unrolled(places) {
  const east = places.map((one) => ({ ...one, x: one.longitude }));
  const round = places.map((one) => ({ ...one, x: one.longitude < 0 ? one.longitude + 360 : one.longitude }));
  return spanOf(round) < spanOf(east) ? round : east;
}

function spanOf(places) {
  const xs = places.map(({ x }) => x);
  return xs.length ? Math.max(...xs) - Math.min(...xs) : 0;
}

/** The view in which all places are seen: `{ x, y, k }`, its middle in degrees and pixels a degree north. */
export function fitted(places, width, height) {
  if (!places.length) return { x: 0, y: 0, k: height / 180 };
  const xs = places.map(({ x }) => x);
  const ys = places.map(({ latitude }) => latitude);
  const y = (Math.min(...ys) + Math.max(...ys)) / 2;
  const x = (Math.min(...xs) + Math.max(...xs)) / 2;
  const tall = Math.max(Math.max(...ys) - Math.min(...ys), SPAN_MIN_DEG);
  const wide = Math.max(Math.max(...xs) - Math.min(...xs), SPAN_MIN_DEG);
  const room = [Math.max(width - 2 * EDGE_PX, 60), Math.max(height - 2 * EDGE_PX, 60)];
  return { x, y, k: Math.min(room[0] / (wide * squeeze(y)), room[1] / tall) };
}

/** How much shorter a degree east is than a degree north. */
export function squeeze(latitude) {
  return Math.max(Math.cos((latitude * Math.PI) / 180), 0.05);
}

/**
 * What turns degrees into pixels of a box, and back. `flat` is the latitude at which both scales are true: that
 * of the fleet, so that nothing changes its shape while the map is moved.
 */
export function projection({ x, y, k }, width, height, flat) {
  const kx = k * squeeze(flat);
  return {
    px: (longitude) => width / 2 + (longitude - x) * kx,
    py: (latitude) => height / 2 - (latitude - y) * k,
    longitude: (px) => x + (px - width / 2) / kx,
    latitude: (py) => y - (py - height / 2) / k,
  };
}

function linesBetween(from, to, step) {
  const lines = [];
  for (let i = Math.ceil(from / step); i * step <= to && lines.length < 60; i += 1) lines.push(i * step);
  return lines;
}

function stepFor(degreesPerPx) {
  return STEPS_DEG.find((step) => step / degreesPerPx >= LINES_APART_PX) ?? STEPS_DEG.at(-1);
}

function degrees(value, step, [positive, negative]) {
  const decimals = step >= 1 ? 0 : Math.ceil(-Math.log10(step));
  const text = Math.abs(value).toFixed(decimals);
  if (Number(text) === 0) return `${text}°`;
  return `${text}°\u202f${value > 0 ? positive : negative}`;
}

/** Lines of longitude and latitude across a box, `{ at, text }` each. */
export function graticule(to, width, height) {
  const [west, east] = [to.longitude(0), to.longitude(width)];
  const [south, north] = [Math.max(to.latitude(height), -90), Math.min(to.latitude(0), 90)];
  const across = stepFor((east - west) / width);
  const along = stepFor((to.latitude(0) - to.latitude(height)) / height);
  const round = (value) => ((((value + 180) % 360) + 360) % 360) - 180;
  return {
    meridians: linesBetween(west, east, across).map((value) => ({
      at: to.px(value),
      text: degrees(round(value), across, ["E", "W"]),
    })),
    parallels: linesBetween(south, north, along).map((value) => ({
      at: to.py(value),
      text: degrees(value, along, ["N", "S"]),
    })),
  };
}

/** A length of 1, 2 or 5 times a power of ten that fits: `{ px, text }`. */
export function scaleBar(k) {
  const kmPerPx = KM_PER_DEGREE / k;
  const most = kmPerPx * SCALE_PX;
  const power = 10 ** Math.floor(Math.log10(most));
  const km = power * ([5, 2, 1].find((times) => times * power <= most) ?? 1);
  return { px: km / kmPerPx, text: km >= 1 ? `${km} km` : `${Math.round(km * 1000)} m` };
}

const GAP_PX = 13;
const LETTER_PX = 7.2;
const LINE_PX = 17;
const SIDES = [
  ["start", GAP_PX, 4.5],
  ["end", -GAP_PX, 4.5],
  ["middle", 0, -GAP_PX],
  ["middle", 0, GAP_PX + 11],
];

function boxOf({ x, y, name }, [anchor, dx, dy]) {
  const width = name.length * LETTER_PX;
  const left = anchor === "start" ? x + dx : anchor === "end" ? x + dx - width : x - width / 2;
  return { left, right: left + width, top: y + dy - LINE_PX + 4, bottom: y + dy + 4 };
}

const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;

/** Give each name a side on which it covers nothing; the first points choose first. Null: there is no room. */
export function labelled(points, width) {
  const taken = points.map(({ x, y }) => ({ left: x - 9, right: x + 9, top: y - 9, bottom: y + 9 }));
  return points.map((point, own) => {
    const free = SIDES.find((side) => {
      const box = boxOf(point, side);
      const inside = box.left > 2 && box.right < width - 2;
      return inside && !taken.some((other, i) => i !== own && meet(box, other));
    });
    if (free) taken.push(boxOf(point, free));
    return { ...point, label: free ?? null };
  });
}
