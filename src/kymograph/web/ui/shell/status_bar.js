// The right side of the header: what one must see at a glance from every page.
import { html } from "../html.js";
import { bytes, stopwatch, timeOfDay, duration } from "../format.js";
import { clockOffset, connection, elapsedSince, recorders, station, tick } from "../station/state.js";
import { Icon } from "./icons.js";
import { link } from "./router.js";
import { nextTheme, theme } from "./theme.js";

const WORDS = { live: "Live", connecting: "Connecting", reconnecting: "Reconnecting", locked: "Locked" };

export function Connection() {
  const { state, since } = connection.value;
  const lasting = state === "live" ? "" : ` ${duration(Math.max(0, (tick.value - since) / 1000))}`;
  return html`
    <span class="pill pill--${state}" role="status" title="Live connection to the station">
      <i class="dot" aria-hidden="true"></i>${WORDS[state]}${state === "reconnecting" && lasting}
    </span>
  `;
}

function Disk() {
  const disk = station.value?.disk;
  if (!disk) return null;
  const used = disk.total_bytes ? 1 - disk.free_bytes / disk.total_bytes : 0;
  const bad = disk.state && disk.state !== "ok";
  return html`
    <span
      class="reading ${bad ? "reading--bad" : ""}"
      title="Free on the data disk, ${Math.round(used * 100)} % used">
      <${Icon} name="disk" /><span class="reading__label">${bad ? disk.state : "free"}</span>
      <b>${bytes(disk.free_bytes)}</b>
    </span>
  `;
}

function Clock() {
  const seconds = tick.value / 1000 + clockOffset.value;
  const apart = Math.abs(clockOffset.value) > 2;
  const note = apart
    ? `The station's clock is ${duration(Math.abs(clockOffset.value))} apart from this one.`
    : "Station time";
  return html`<time class="reading reading--clock ${apart ? "reading--bad" : ""}" title=${note}
    ><b>${timeOfDay(seconds)}</b></time
  >`;
}

function Running() {
  const first = recorders.value[0];
  if (!first) return null;
  const more = recorders.value.length - 1;
  return html`
    <a class="running" href=${link("recordings", first.recording_id)} title="Recording ${first.name}">
      <i class="dot dot--record" aria-hidden="true"></i>
      <span class="running__name">${first.name}${more > 0 && ` +${more}`}</span>
      <b>${stopwatch(elapsedSince(first.started_ns))}</b>
    </a>
  `;
}

function ThemeSwitch() {
  const names = { auto: "as the system", dark: "dark", light: "light" };
  const icons = { auto: "auto", dark: "moon", light: "sun" };
  return html`
    <button
      class="button button--bare"
      onClick=${nextTheme}
      data-test="theme"
      aria-label="Theme: ${names[theme.value]}. Change."
      title="Theme: ${names[theme.value]}">
      <${Icon} name=${icons[theme.value]} />
    </button>
  `;
}

export function StatusBar() {
  return html`
    <div class="status"><${Running} /><${Disk} /><${Clock} /><${Connection} /><${ThemeSwitch} /></div>
  `;
}
