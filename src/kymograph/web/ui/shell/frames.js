// When to draw: as often as wanted, but never so often that the drawing is all the machine does.
import { calm } from "./theme.js";

const CALM_MS = 1000;
const SHARE_MAX = 0.4;

/**
 * Call `draw` every `intervalMs`; more rarely where painting is slow (measured until after the paint; it may
 * take `share` of the time) or the system asks for little motion, not at all in a hidden tab. Returns what ends
 * it.
 */
export function drawEvery(intervalMs, draw, share = SHARE_MAX) {
  let frame = 0;
  let due = 0;
  const step = (now) => {
    frame = requestAnimationFrame(step);
    if (now < due) return;
    const began = performance.now();
    draw();
    due = Infinity;
    setTimeout(() => {
      const spent = performance.now() - began;
      const wanted = calm.matches ? CALM_MS : intervalMs;
      due = now + Math.max(wanted - 4, spent / share);
    });
  };
  frame = requestAnimationFrame(step);
  return () => cancelAnimationFrame(frame);
}
