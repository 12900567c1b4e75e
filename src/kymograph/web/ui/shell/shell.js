// The frame of every page: header, navigation, the open room, messages.
import { html, useEffect, useState } from "../html.js";
import { needsKey } from "../station/session.js";
import { station } from "../station/state.js";
import { roomOf, roomsInNavigation } from "./rooms.js";
import { link, place } from "./router.js";
import { Icon } from "./icons.js";
import { StatusBar } from "./status_bar.js";
import { StopAll, StopBanner } from "./stop_all.js";
import { Toasts } from "./toasts.js";

function Brand() {
  const name = station.value?.name;
  return html`
    <a class="brand" href=${link()} aria-label="Kymograph, overview">
      <svg class="brand__sign" viewBox="0 0 44 24" aria-hidden="true">
        <path
          d="M1 15h9l3-10 6 17 4.5-12 2.5 5h9"
          fill="none"
          stroke="currentColor"
          stroke-width="2.4"
          stroke-linecap="round"
          stroke-linejoin="round" />
        <circle cx="38.5" cy="15" r="3.2" class="brand__pen" />
      </svg>
      <span class="brand__words">
        <b>${name ?? "Kymograph"}</b>
        ${station.value?.simulated &&
        html`<span class="tag" title="At least one instrument is simulated">simulated</span>`}
      </span>
    </a>
  `;
}

function Navigation() {
  const here = place.value[0] ?? "";
  const current = here === "instruments" ? "" : here;
  return html`
    <nav class="rooms" aria-label="Pages">
      ${roomsInNavigation(station.value).map(({ title, icon, path }) => {
        const open = (path[0] ?? "") === current;
        return html`
          <a
            key=${title}
            href=${link(...path)}
            aria-label=${title}
            title=${title}
            class="room ${open ? "room--open" : ""}"
            aria-current=${open ? "page" : null}>
            <${Icon} name=${icon} /><span>${title}</span>
          </a>
        `;
      })}
    </nav>
  `;
}

function Locked() {
  return html`
    <section class="empty">
      <h1>This station asks for a key</h1>
      <p>
        The first one was shown when the station was first started; more are made there with
        ${" "}<code>kymograph key add</code>.
      </p>
      <a class="button button--main" href=${link("settings")}>Enter a key</a>
    </section>
  `;
}

function Room() {
  const [loaded, setLoaded] = useState({});
  const found = roomOf(place.value);
  const room = found?.room;
  useEffect(() => {
    let wanted = true;
    room?.load().then(({ Page }) => wanted && setLoaded({ room, Page }));
    return () => (wanted = false);
  }, [room]);
  if (!found) {
    return html`<section class="empty">
      <h1>There is no such page</h1>
      <a href=${link()}>Back to the overview</a>
    </section>`;
  }
  if (needsKey.value && place.value[0] !== "settings") return html`<${Locked} />`;
  if (loaded.room !== room) return null;
  return html`<${loaded.Page} key=${place.value.join("/")} ...${found.props} />`;
}

export function Shell() {
  return html`
    <a
      class="skip"
      href="#main"
      onClick=${(event) => {
        event.preventDefault();
        document.querySelector("main").focus();
      }}
      >Skip to the content</a
    >
    <${StopAll} />
    <header class="header"><${Brand} /><${Navigation} /><${StatusBar} /></header>
    <div class="alarms"><${StopBanner} /></div>
    <main tabindex="-1"><${Room} /></main>
    <${Toasts} />
  `;
}
