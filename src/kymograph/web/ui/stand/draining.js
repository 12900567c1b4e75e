// A time that runs out, as a bar that shrinks and a number.
import { html, useEffect, useRef, useState } from "../html.js";

const STEP_MS = 200;

/** `left` seconds as last told; `identity` changes when it is another time that runs. */
export function Draining({ left, identity, whole }) {
  const told = useRef({ at: 0, left: 0 });
  const most = useRef({ identity: null, s: 0 });
  const [, redraw] = useState(0);
  if (told.current.left !== left) told.current = { at: performance.now(), left };
  if (most.current.identity !== identity) most.current = { identity, s: 0 };
  most.current.s = Math.max(most.current.s, left);
  useEffect(() => {
    const timer = setInterval(() => redraw((n) => n + 1), STEP_MS);
    return () => clearInterval(timer);
  }, []);
  const now = Math.max(0, told.current.left - (performance.now() - told.current.at) / 1000);
  const share = now / Math.max(whole ?? most.current.s, 0.001);
  return html`
    <span
      class="draining ${share < 0.34 ? "draining--low" : ""}"
      role="timer"
      aria-label="${Math.ceil(now)} seconds left">
      <i class="draining__bar" style=${{ transform: `scaleX(${Math.min(1, share)})` }}></i>
      <b>${now < 100 ? Math.ceil(now) : Math.round(now)}\u00a0s</b>
    </span>
  `;
}
