// The few signs the page uses, drawn on a 20 × 20 grid in the colour of the text beside them.
import { html } from "../html.js";

const PATHS = {
  overview: "M3 4h6v6H3zM11 4h6v3h-6zM11 9h6v7h-6zM3 12h6v4H3z",
  recordings: "M3 5h14M3 10h14M3 15h9",
  settings: "M3 6h8M15 6h2M13 4v4M3 14h2M9 14h8M7 12v4",
  instrument: "M10 17a7 7 0 1 1 7-7M10 10l5-4M10 13a3 3 0 1 1 3-3",
  alert: "M10 3l8 14H2zM10 8v4M10 14.5v.5",
  check: "M4 10.5l4 4 8-9",
  close: "M5 5l10 10M15 5L5 15",
  download: "M10 3v9M6 8.5l4 4 4-4M4 16h12",
  trash: "M4 6h12M8 6V4h4v2M6 6l1 11h6l1-11",
  stop: "M5 5h10v10H5z",
  stand: "M3 6l7 4-7 4zM17 6l-7 4 7 4zM10 10V4M7 4h6",
  hand: "M6 10V5a1.3 1.3 0 0 1 2.6 0v4V3.6a1.3 1.3 0 0 1 2.6 0V9V5a1.3 1.3 0 0 1 2.6 0v6.5a5.5 5.5 0 0 1-10 3L3 11.5a1.3 1.3 0 0 1 2-1.5l1 1",
  person: "M10 3a3.3 3.3 0 1 0 0 6.6a3.3 3.3 0 1 0 0-6.6M3.5 17a6.5 6.5 0 0 1 13 0",
  plug: "M7 2v5M13 2v5M5 7h10v3a5 5 0 0 1-10 0zM10 15v3",
  unplug: "M7 2v5M13 2v5M5 7h10v3a5 5 0 0 1-10 0zM10 15v3M3 17L17 3",
  copy: "M7 7h9v9H7zM13 7V4H4v9h3",
  plus: "M10 4v12M4 10h12",
  minus: "M4 10h12",
  pause: "M7 4v12M13 4v12",
  play: "M6 4l10 6-10 6z",
  back: "M12 4l-6 6 6 6",
  next: "M8 4l6 6-6 6",
  sun:
    "M10 6.5a3.5 3.5 0 1 0 0 7a3.5 3.5 0 1 0 0-7M10 1.5v2M10 16.5v2M1.5 10h2M16.5 10h2" +
    "M4 4l1.4 1.4M14.6 14.6L16 16M16 4l-1.4 1.4M5.4 14.6L4 16",
  moon: "M16 12.5A7 7 0 0 1 7.5 4a7 7 0 1 0 8.5 8.5z",
  auto: "M10 3a7 7 0 1 0 0 14zM10 3a7 7 0 0 1 0 14",
  flag: "M5 17V3M5 4h10l-3 3.5 3 3.5H5",
  shield: "M10 2.5l6 2.5v5c0 4-3 6.5-6 7.5-3-1-6-3.5-6-7.5V5zM7 10l2.2 2.2L13 8",
  disk: "M4 4h12v12H4zM7 4v4h6V4M7 12h6",
  fleet: "M10 17.5s5.5-5 5.5-9.3a5.5 5.5 0 0 0-11 0c0 4.3 5.5 9.3 5.5 9.3zM10 6.3a2 2 0 1 0 0 4a2 2 0 1 0 0-4",
  readings: "M8 11.5V4.5a2 2 0 0 1 4 0v7a3.5 3.5 0 1 1-4 0zM10 9v5M15 5h2.5M15 8h2.5",
  clock: "M10 3a7 7 0 1 0 0 14a7 7 0 1 0 0-14M10 6v4.2l2.8 1.8",
  ring: "M6.5 4l1.6-.7M11.9 3.3l1.6.7M16 6.5l.7 1.6M16.7 11.9l-.7 1.6M13.5 16l-1.6.7M8.1 16.7L6.5 16M4 13.5l-.7-1.6M3.3 8.1L4 6.5",
  pen: "M4 16l.8-3.4L13.5 4l2.5 2.5-8.6 8.7zM11.5 6l2.5 2.5",
  fit: "M3 7V3h4M13 3h4v4M17 13v4h-4M7 17H3v-4",
};

export function Icon({ name }) {
  return html`
    <svg class="icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false">
      <path
        d=${PATHS[name]}
        fill="none"
        stroke="currentColor"
        stroke-width="1.7"
        stroke-linecap="round"
        stroke-linejoin="round" />
    </svg>
  `;
}
