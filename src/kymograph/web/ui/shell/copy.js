// Text into the clipboard, and a word about it.
import { toast } from "./toasts.js";

/** Copy by way of a field that is not seen: the only way for a page that did not come over HTTPS. */
function copyBySelection(text) {
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "unseen";
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  return done;
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

/** Copy `text`, called `what` in the message. */
export async function copyText(what, text) {
  const focused = document.activeElement;
  if (await copied(text)) toast({ kind: "good", title: `${what} copied`, hint: text });
  else toast({ kind: "bad", title: "The browser does not let this page copy.", hint: text });
  focused?.focus();
}
