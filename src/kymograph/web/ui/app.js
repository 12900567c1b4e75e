// Where the page begins.
import { html, render } from "./html.js";
import { Shell } from "./shell/shell.js";
import { followControl } from "./station/control.js";
import { start } from "./station/state.js";

start();
followControl();
const root = document.getElementById("app");
root.replaceChildren();
render(html`<${Shell} />`, root);
