// Text into the clipboard, and a word about it.
import { toast } from "./toasts.js";

/** Copy `text`, called `what` in the message. Without HTTPS a browser may not let a page do this. */
export async function copyText(what, text) {
  try {
    await navigator.clipboard.writeText(text);
    toast({ kind: "good", title: `${what} copied`, hint: text });
  } catch {
    toast({ kind: "bad", title: "The browser does not let this page copy.", hint: text });
  }
}
