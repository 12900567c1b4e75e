// One valve as a button: its body is filled as the device says it is, its ring shows what it was told where
// that is something else, and a shield marks its safe state.
import { html } from "../html.js";
import { Icon } from "../shell/icons.js";
import { isSafe, wordFor } from "./told.js";

const BODY = "M4 4L24 16L4 28ZM44 4L24 16L44 28Z";
const BOLT = "M27 2L11 18H23L20 31L38 13H26Z";

function sentence(valve) {
  const is = wordFor(valve, valve.value);
  const safe = valve.safe === null ? "" : `, safe is ${wordFor(valve, valve.safe)}`;
  const differs = valve.standing === "moving" || valve.standing === "unverified";
  const told = differs ? `, told ${wordFor(valve, valve.told)}, ${valve.standing}` : "";
  return `${valve.name}: ${is}${told}${safe}`;
}

function Word({ valve }) {
  const { standing } = valve;
  if (standing === "unknown") return html`<span class="valve__word">not known</span>`;
  if (standing === "there") return html`<span class="valve__word">${wordFor(valve, valve.value)}</span>`;
  return html`<span class="valve__word valve__word--apart">
    ${wordFor(valve, valve.value)} → ${wordFor(valve, valve.told)}
  </span>`;
}

/** `kind` is `valve` or `igniter`; `medium` colours it; `place` is where on the drawing it is. */
export function Valve({ valve, kind = "valve", medium = "", place, refused, onPress }) {
  const open = valve.value !== null && valve.value !== undefined && valve.value > 0;
  const told = valve.told > 0;
  const classes = [
    "valve",
    `valve--${medium || "plain"}`,
    open ? "valve--open" : "valve--shut",
    told ? "valve--told-open" : "",
    `valve--${valve.standing}`,
    refused ? "valve--refused" : "",
  ];
  return html`
    <button
      class=${classes.filter(Boolean).join(" ")}
      style=${place}
      aria-label=${sentence(valve)}
      aria-pressed=${told}
      data-valve=${valve.name}
      data-value=${valve.value}
      data-told=${valve.told}
      data-standing=${valve.standing}
      onClick=${onPress}>
      <span class="valve__name">${valve.name}</span>
      <svg class="valve__body" viewBox="-3 -2 54 36" aria-hidden="true">
        <path class="valve__ring" d=${kind === "igniter" ? BOLT : BODY} />
        <path class="valve__fill" d=${kind === "igniter" ? BOLT : BODY} />
      </svg>
      <${Word} valve=${valve} />
      ${
        ["moving", "unverified"].includes(valve.standing)
          ? html`<span class="valve__note">${valve.standing}</span>`
          : isSafe(valve) &&
            html`<span class="valve__safe" title="its safe state"><${Icon} name="shield" /></span>`
      }
    </button>
  `;
}
