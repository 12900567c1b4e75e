// What a sequence would do with the parameters in its form, before anything is started.
import { useEffect, useRef, useState } from "../html.js";
import { controlApi } from "../station/control_api.js";

const PREVIEW_MS = 300;

/** Of problems, those of one field each, by its name, and the rest; a reason begins with what it is about. */
export function byField(problems, parameters) {
  const names = Object.keys(parameters ?? {});
  const fieldOf = ({ reason }) => names.find((name) => new RegExp(`^${name}\\b`).test(reason));
  const own = problems.filter(fieldOf);
  return {
    fields: Object.fromEntries(own.map((one) => [fieldOf(one), one.reason])),
    rest: problems.filter((one) => !fieldOf(one)),
  };
}

/**
 * What would happen with the values in the form, a moment after the last of them was typed: `problems`, and
 * the timeline; while there are problems that of before, which is `old` then.
 */
export function usePreview(found, draft) {
  const [seen, setSeen] = useState(null);
  useEffect(() => {
    if (!draft || Object.keys(draft.faults).length) return undefined;
    let wanted = true;
    const timer = setTimeout(async () => {
      const answer = await controlApi.validate(found.name, draft.values).catch(() => null);
      if (wanted && answer) setSeen(answer);
    }, PREVIEW_MS);
    return () => {
      wanted = false;
      clearTimeout(timer);
    };
  }, [found, draft]);
  const last = useRef(found.timeline);
  if (seen?.timeline.length) last.current = seen.timeline;
  const problems = seen?.problems ?? found.problems;
  const typed = Object.keys(draft?.faults ?? {}).length > 0;
  return { problems, timeline: last.current, old: typed || problems.length > 0 };
}
