// The one place that knows which view library is used: templates, hooks and signals for every other module.
import htm from "./vendor/htm/htm.js";
import { Fragment, h, render } from "./vendor/preact/preact.js";

export const html = htm.bind(h);
export { Fragment, render };
export { useCallback, useEffect, useMemo, useRef, useState } from "./vendor/preact/hooks.js";
export { batch, computed, effect, signal } from "./vendor/signals/signals.js";
