// The newest value of every channel, four times a second.
import { html, useEffect, useState } from "../html.js";
import { timeOfDay, unitSign, valueText } from "../format.js";
import { live } from "../station/state.js";

const LATEST_HZ = 4;

/** Write the newest value, and its unit; a sensor that does not send it is told apart from no row yet. */
export function Newest({ channel, latest }) {
  const value = latest?.values[channel.name];
  const nothing = latest && (value === null || Number.isNaN(value));
  if (nothing) return html`<b>—</b> <small>not sent</small>`;
  return html`<b>${valueText(channel, value)}</b> ${unitSign(channel.unit)}`;
}

/** The newest row of a stream as `{ t, values }`, or null before the first. */
export function useLatest(stream) {
  const [latest, setLatest] = useState(null);
  useEffect(() => {
    if (!stream) return undefined;
    return live.subscribe(
      { streams: [stream.name], mode: "latest", max_rate_hz: LATEST_HZ },
      {
        data({ t, columns }) {
          const at = t.length - 1;
          const values = Object.fromEntries(
            Object.entries(columns).map(([name, column]) => [name, column[at]]),
          );
          setLatest({ t: t[at], values });
        },
      },
    );
  }, [stream?.name]);
  return latest;
}

export function Values({ stream }) {
  const latest = useLatest(stream);
  return html`
    <section class="panel" aria-label="Latest values of ${stream.name}">
      <h2>Now <small>${latest ? timeOfDay(latest.t, 1) : "no row yet"}</small></h2>
      <table class="values">
        <tbody>
          ${stream.channels.map(
            (channel) => html`
              <tr key=${channel.name}>
                <th scope="row">
                  ${channel.name}${channel.description && html`<small>${channel.description}</small>`}
                </th>
                <td>${valueText(channel, latest?.values[channel.name])}</td>
                <td class="unit">${unitSign(channel.unit)}</td>
              </tr>
            `,
          )}
        </tbody>
      </table>
    </section>
  `;
}

/** A few large numbers, for a card that is read from across the room. */
export function BigValues({ stream, names }) {
  const latest = useLatest(stream);
  return names.map((name) => {
    const channel = stream.channels.find((one) => one.name === name);
    return html`
      <div class="big" key=${name}>
        <span class="big__name">${name}</span>
        <span class="big__value"><${Newest} channel=${channel} latest=${latest} /></span>
      </div>
    `;
  });
}
