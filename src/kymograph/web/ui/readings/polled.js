// Something that is asked for again and again while a page is open.
import { useEffect, useRef, useState } from "../html.js";

const RETRY_S = 5;

/**
 * Return `{ answer, problem, again }`; asked for every so many seconds, never twice at one time. What was
 * there stays while a later question fails; `what` says when it is another question altogether. `everyS` may be
 * a function of the answer.
 */
export function usePolled(ask, everyS, what = "") {
  const [state, setState] = useState({ answer: null, problem: null, of: what });
  const now = useRef(() => undefined);
  useEffect(() => {
    let timer = 0;
    let wanted = true;
    let asking = false;
    const look = async () => {
      clearTimeout(timer);
      if (asking) return;
      asking = true;
      let waitS = typeof everyS === "number" ? everyS : RETRY_S;
      try {
        const answer = await ask();
        if (typeof everyS !== "number") waitS = everyS(answer);
        if (wanted) setState({ answer, problem: null, of: what });
      } catch (problem) {
        if (wanted) setState((before) => ({ ...before, problem }));
      }
      asking = false;
      if (wanted && waitS) timer = setTimeout(look, waitS * 1000);
    };
    now.current = look;
    look();
    return () => {
      wanted = false;
      clearTimeout(timer);
    };
  }, [what]);
  const again = () => now.current();
  return state.of === what ? { ...state, again } : { answer: null, problem: null, again };
}
