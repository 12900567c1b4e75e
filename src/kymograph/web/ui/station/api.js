// The station's REST interface: one function a question, problems as errors that carry their hint.
/** What `application/problem+json` says. `status` is 0 where no answer came at all. */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || `the station answered ${status}`);
    this.status = status;
    this.code = body.code ?? "internal";
    this.hint = body.hint ?? "";
    this.facts = body.facts ?? {};
  }
}

/** Make an absolute address of a path of the interface, whatever prefix the page lives behind. */
export function address(path) {
  return new URL(`v1/${path}`, document.baseURI);
}

function withQuery(path, query) {
  const url = address(path);
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined && value !== null && value !== "") url.searchParams.set(name, value);
  }
  return url;
}

async function request(method, path, { query, body, signal } = {}) {
  let answer;
  try {
    answer = await fetch(withQuery(path, query), {
      method,
      signal,
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, {
      detail: "The station does not answer.",
      hint: "Is it running, and is the network up?",
    });
  }
  if (answer.status === 204) return null;
  const isJson = (answer.headers.get("content-type") ?? "").includes("json");
  const content = isJson ? await answer.json() : { detail: await answer.text() };
  if (!answer.ok) throw new Problem(answer.status, content);
  return content;
}

export const part = encodeURIComponent;
export const get = (path, query, signal) => request("GET", path, { query, signal });
export const post = (path, body = {}) => request("POST", path, { body });
export const patch = (path, body) => request("PATCH", path, { body });
export const remove = (path) => request("DELETE", path);

export const api = {
  session: () => get("session"),
  beginSession: (key) => post("session", { key }),
  endSession: () => request("DELETE", "session"),
  station: () => get("station"),
  instruments: () => get("instruments"),
  instrument: (name) => get(`instruments/${part(name)}`),
  act: (name, action) => post(`instruments/${part(name)}/${action}`),
  configure: (name, options, port) =>
    request("PATCH", `instruments/${part(name)}/settings`, { body: { options, port } }),
  command: (name, command, values, order = {}) =>
    post(`instruments/${part(name)}/commands/${part(command)}`, { arguments: values, ...order }),
  streams: () => get("streams"),
  streamData: (name, query, signal) => get(`streams/${part(name)}/data`, query, signal),
  formats: () => get("formats"),
  events: () => get("events"),
  recordings: (query) => get("recordings", query),
  recording: (id) => get(`recordings/${part(id)}`),
  record: (wish) => post("recordings", wish),
  stopRecording: (id) => post(`recordings/${part(id)}/stop`),
  annotate: (id, metadata) => request("PATCH", `recordings/${part(id)}`, { body: { metadata } }),
  remove: (id) => request("DELETE", `recordings/${part(id)}`),
  segments: (id) => get(`recordings/${part(id)}/segments`),
  recordingData: (id, query, signal) => get(`recordings/${part(id)}/data`, query, signal),
  recordingEvents: (id) => get(`recordings/${part(id)}/events`),
  mark: (id, body) => post(`recordings/${part(id)}/events`, body),
  completeness: (id, verify, files) => get(`recordings/${part(id)}/completeness`, { verify, files }),
  mirrorsOf: (id) => get(`recordings/${part(id)}/mirrors`),
  mirrors: () => get("mirrors"),
  verify: (id) => get(`recordings/${part(id)}/verify`),
};

/** Return the address of an export; `query` may hold format, stream, start, stop and channels. */
export function exportAddress(id, query) {
  return withQuery(`recordings/${part(id)}/export`, query).href;
}

/** Return the address of one sealed file. */
export function segmentAddress(id, filename) {
  return address(`recordings/${part(id)}/segments/${part(filename)}`).href;
}
