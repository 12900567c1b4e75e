// Bands as filled shapes with a line through their middle, straight onto a plot's canvas.

const LINE_PX = 1.6;

/** What makes a pixel of a value on a scale: `v * factor + offset`. */
function linear(scale, from, to) {
  const factor = (to - from) / (scale.max - scale.min || 1);
  return [factor, from - scale.min * factor];
}

/** Fill from `from` up to `to`, which has no gap: the band between lowest and highest values. */
function fillStretch(ctx, { xs, low, high, y: [factor, offset] }, from, to) {
  ctx.beginPath();
  for (let k = from; k < to; k += 1) ctx.lineTo(xs[k], high[k] * factor + offset);
  for (let k = to - 1; k >= from; k -= 1) ctx.lineTo(xs[k], low[k] * factor + offset);
  ctx.fill();
}

/**
 * A line through the middle, so that what does not move much is seen, and each channel in a heap of bands. It
 * is filled, too: a browser that draws without a graphics card fills four times as fast as it strokes.
 */
function fillMiddle(ctx, { xs, low, high, y: [factor, offset], half }, from, to) {
  const middle = (k) => ((low[k] + high[k]) / 2) * factor + offset;
  ctx.beginPath();
  for (let k = from; k < to; k += 1) ctx.lineTo(xs[k], middle(k) - half);
  for (let k = to - 1; k >= from; k -= 1) ctx.lineTo(xs[k], middle(k) + half);
  ctx.fill();
}

function eachStretch({ low }, last, draw) {
  let start = -1;
  for (let k = 0; k <= last; k += 1) {
    const there = k < last && low[k] !== null && low[k] !== undefined;
    if (there && start < 0) start = k;
    if (!there && start >= 0) {
      draw(start, k);
      start = -1;
    }
  }
}

/** Draw every channel of a plot whose data are times and then, for each, its highest and lowest values. */
export function drawBands(plot, channels) {
  const { ctx, bbox, data, scales } = plot;
  const x = linear(scales.x, bbox.left, bbox.left + bbox.width);
  const y = linear(scales.y, bbox.top + bbox.height, bbox.top);
  const xs = data[0].map((t) => t * x[0] + x[1]);
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  const half = (LINE_PX / 2) * devicePixelRatio;
  channels.forEach(({ color }, i) => {
    const band = { xs, high: data[2 * i + 1], low: data[2 * i + 2], y, half };
    ctx.fillStyle = `${color}66`;
    eachStretch(band, xs.length, (from, to) => fillStretch(ctx, band, from, to));
    ctx.fillStyle = color;
    eachStretch(band, xs.length, (from, to) => fillMiddle(ctx, band, from, to));
  });
  ctx.restore();
}
