// The live connection: says hello, subscribes, and after a break goes on where it was.
import { readColumns, readMessage } from "./frames.js";

const BACK_OFF_S = [0.5, 0.5, 1, 1, 2, 4, 8]; // a front that fell is back within seconds
const KEY_REFUSED = 4401;
const SCOPE_REFUSED = 4403;
const SILENCE_MAX_S = 8; // the status subscription speaks every second

/**
 * One WebSocket for the whole page.
 *
 * `listeners`: `state(name)` with `live`, `reconnecting` or `locked`, `welcome(message)`, `status(message)`,
 * `event(event)`, `problem(message)`.
 */
export class LiveClient {
  constructor(address, listeners) {
    this.address = address;
    this.listeners = listeners;
    this.subscriptions = new Map();
    this.nextId = 1;
    this.attempt = 0;
    this.socket = null;
    this.ready = false;
    this.heardAt = 0;
    this.closed = false;
    this.watch = setInterval(() => this.#watchSilence(), 1000);
    this.#connect();
  }

  /**
   * Subscribe to streams; returns the function that ends it.
   *
   * `request` is the protocol's (`streams`, `channels`, `mode`, `max_rate_hz`); `resume: true` asks after
   * a break for the rows that were missed. `handlers`: `data({ stream, t, columns, dropped })`,
   * `schema(message)`, `gap(message)`.
   */
  subscribe({ resume = false, ...request }, handlers) {
    const id = `s${this.nextId++}`;
    const subscription = { id, request, resume, handlers, cursors: {} };
    this.subscriptions.set(id, subscription);
    if (this.ready) this.#send(this.#wish(subscription));
    return () => {
      this.subscriptions.delete(id);
      if (this.ready) this.#send({ type: "unsubscribe", id });
    };
  }

  /** Drop the connection and make a new one, because who we are has changed. */
  restart() {
    this.attempt = 0;
    this.#lose();
    clearTimeout(this.timer);
    this.#connect();
  }

  close() {
    this.closed = true;
    clearInterval(this.watch);
    clearTimeout(this.timer);
    this.#lose();
  }

  #connect() {
    const socket = new WebSocket(this.address);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.heardAt = Date.now();
    socket.onopen = () => this.#send({ type: "hello" });
    socket.onmessage = (message) => this.#receive(readMessage(message.data));
    socket.onclose = ({ code }) => {
      if (socket === this.socket) this.#ended(code);
    };
  }

  #lose() {
    const socket = this.socket;
    this.socket = null;
    this.ready = false;
    if (socket) socket.close();
  }

  #ended(code) {
    if (code !== KEY_REFUSED && code !== SCOPE_REFUSED) return this.#retry();
    this.#lose();
    return this.listeners.state("locked"); // until a key is shown and `restart` called
  }

  #retry() {
    this.#lose();
    if (this.closed) return;
    this.listeners.state("reconnecting");
    const base = BACK_OFF_S[Math.min(this.attempt, BACK_OFF_S.length - 1)];
    this.attempt += 1;
    this.timer = setTimeout(() => this.#connect(), base * (0.8 + 0.4 * Math.random()) * 1000);
  }

  #watchSilence() {
    if (this.socket && Date.now() - this.heardAt > SILENCE_MAX_S * 1000) this.#retry();
  }

  #send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  #wish({ id, request, resume, cursors }) {
    const since = resume && Object.keys(cursors).length ? { since: cursors } : {};
    return { type: "subscribe", id, encoding: "msgpack", ...request, ...since };
  }

  #receive(message) {
    this.heardAt = Date.now();
    if (message.type === "welcome") this.#welcome(message);
    else if (message.type === "status") this.listeners.status(message);
    else if (message.type === "event") this.listeners.event(message);
    else if (message.type === "error") this.#refused(message);
    else this.#deliver(message);
  }

  #welcome(message) {
    this.ready = true;
    this.attempt = 0;
    this.listeners.welcome(message);
    this.listeners.state("live");
    this.#send({ type: "subscribe", id: "status", status: true, encoding: "json" });
    for (const subscription of this.subscriptions.values()) this.#send(this.#wish(subscription));
  }

  /** A place that the station no longer knows (it was started anew) is forgotten; the rest is told. */
  #refused(message) {
    const subscription = this.subscriptions.get(message.id);
    if (subscription && Object.keys(subscription.cursors).length) {
      subscription.cursors = {};
      this.#send(this.#wish(subscription));
    } else {
      this.listeners.problem(message);
    }
  }

  #deliver(message) {
    const subscription = this.subscriptions.get(message.id);
    if (!subscription) return; // unsubscribed while it was under way
    if (message.type === "data") {
      subscription.cursors[message.stream] = [message.epoch, message.seq_to];
      subscription.handlers.data({
        stream: message.stream,
        dropped: message.dropped,
        ...readColumns(message),
      });
    } else {
      subscription.handlers[message.type]?.(message);
    }
  }
}
