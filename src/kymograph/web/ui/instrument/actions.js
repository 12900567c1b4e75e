// What can be done with an instrument: the two likeliest things on its card, all of them on its own page.
import { html, useEffect, useRef, useState } from "../html.js";
import { Icon } from "../shell/icons.js";
import { api } from "../station/api.js";
import { attempt, noteInstrument } from "../station/state.js";
import { doing, isMoving, possible } from "./doing.js";

const LOOK_AGAIN_MS = 300;
const ACTIONS = {
  open: { word: "Connect", doing: "Connecting…", icon: "plug" },
  start: { word: "Start", doing: "Starting…", icon: "play" },
  pause: { word: "Pause", doing: "Pausing…", icon: "pause" },
  resume: { word: "Resume", doing: "Resuming…", icon: "play" },
  stop: { word: "Stop", doing: "Stopping…", icon: "stop" },
  close: { word: "Disconnect", doing: "Disconnecting…", icon: "unplug" },
};
const LIKELY = {
  closed: ["start", "open"],
  idle: ["start", "close"],
  paused: ["resume", "stop"],
  acquiring: ["stop", "pause"],
  fault: ["start", "close"],
};
const CUTS_SHORT = ["stop", "close"];

/** Do an action, and while it lasts look often at what the instrument is doing. Gives what is under way. */
function useActing(name) {
  const [busy, setBusy] = useState("");
  const last = useRef("");
  useEffect(() => {
    if (!busy) return undefined;
    const look = () => api.instrument(name).then(noteInstrument, () => undefined);
    const timer = setInterval(look, LOOK_AGAIN_MS);
    return () => clearInterval(timer);
  }, [name, busy]);
  const act = async (action) => {
    last.current = action;
    setBusy(action);
    const answer = await attempt(api.act(name, action));
    if (last.current !== action) return; // cut short by another one
    if (answer) noteInstrument(answer);
    setBusy("");
  };
  return [busy, act];
}

function Action({ name, action, word, busy, enabled, main, onAct }) {
  const under = busy === action;
  const waits = busy !== "" && !CUTS_SHORT.includes(action);
  return html`
    <button
      class="button ${main ? "button--main" : ""}"
      data-action=${action}
      disabled=${under || waits || !enabled}
      aria-busy=${under}
      aria-label="${word} ${name}"
      onClick=${() => onAct(action)}>
      ${under ? html`<i class="spinner" aria-hidden="true"></i>` : html`<${Icon} name=${ACTIONS[action].icon} />`}
      ${under ? ACTIONS[action].doing : word}
    </button>
  `;
}

/** The two likeliest actions, for a card. */
export function Actions({ instrument }) {
  const { name, state, paused } = instrument;
  const [busy, act] = useActing(name);
  const likely = LIKELY[paused ? "paused" : state] ?? [];
  return html`
    <div class="row">
      ${likely.map((action, i) => {
        const word = state === "fault" && action === "start" ? "Try again" : ACTIONS[action].word;
        const main = i === 0 && action !== "stop";
        return html`<${Action}
          key=${action}
          ...${{ name, action, word, busy, main }}
          enabled
          onAct=${act} />`;
      })}
    </div>
  `;
}

/** All actions, each always in its place, and what the instrument is doing this second. */
export function Controls({ instrument }) {
  const { name, paused } = instrument;
  const [busy, act] = useActing(name);
  const can = possible(instrument);
  const main = paused ? "resume" : "start";
  const moving = isMoving(instrument) || busy !== "";
  return html`
    <section class="panel controls" aria-label="Controls of ${name}">
      <p class="controls__line" aria-live=${moving ? "polite" : "off"} data-test="doing">
        ${moving && html`<i class="spinner" aria-hidden="true"></i>`}<span>${doing(instrument)}</span>
      </p>
      <div class="controls__buttons" role="group" aria-label="What ${name} shall do">
        ${Object.entries(ACTIONS).map(([action, { word }]) => {
          const cuts = busy !== "" && CUTS_SHORT.includes(action);
          return html`<${Action}
            key=${action}
            ...${{ name, action, word, busy }}
            main=${action === main && can[action]}
            enabled=${can[action] || cuts}
            onAct=${act} />`;
        })}
      </div>
    </section>
  `;
}
