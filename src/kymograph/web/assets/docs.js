// Draws openapi.json: what can be asked, with what, and a form to try it from here.

const METHODS = ["get", "post", "patch", "delete"];
const at = (id) => document.getElementById(id);

/** Make an element; text is always text. */
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const nameOf = (reference) => reference.split("/").at(-1);

/** Spell a schema in a few words, with links to the shapes it names. */
function spell(schema) {
  if (!schema || !Object.keys(schema).length) return ["anything"];
  if (schema.$ref) return [make("a", { href: `#${nameOf(schema.$ref)}` }, nameOf(schema.$ref))];
  if (schema.enum) return [schema.enum.map((one) => JSON.stringify(one)).join(" | ")];
  if (schema.const !== undefined) return [JSON.stringify(schema.const)];
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return choices.flatMap((one, i) => (i ? [" | ", ...spell(one)] : spell(one)));
  if (schema.type === "array") return ["list of ", ...spell(schema.items)];
  if (schema.type === "object" && schema.additionalProperties instanceof Object) {
    return ["table of ", ...spell(schema.additionalProperties)];
  }
  return [schema.type ?? "anything"];
}

function bounds(schema = {}) {
  const told = [];
  for (const [key, word] of [["minimum", "≥"], ["exclusiveMinimum", ">"], ["maximum", "≤"], ["maxLength", "length ≤"]]) {
    if (schema[key] !== undefined) told.push(`${word} ${schema[key]}`);
  }
  if (schema.default !== undefined && schema.default !== null) told.push(`default ${JSON.stringify(schema.default)}`);
  return told.join(", ");
}

function row(name, required, schema, says, input) {
  const kind = make("td", {}, ...spell(schema), make("span", { class: "quiet" }, ` ${bounds(schema)}`));
  const words = make("td", { class: "quiet" }, says ?? "");
  return make("tr", {}, make("td", {}, name + (required ? " *" : "")), kind, words, input ? make("td", {}, input) : null);
}

function properties(schema) {
  const required = new Set(schema.required ?? []);
  const rows = Object.entries(schema.properties ?? {}).map(([name, one]) => row(name, required.has(name), one, one.description));
  return rows.length ? make("table", {}, ...rows) : make("p", { class: "quiet" }, ...spell(schema));
}

/** Return an example of what a schema allows, for the form to begin with. */
function example(schema, shapes) {
  if (schema?.$ref) return example(shapes[nameOf(schema.$ref)], shapes);
  const needed = schema?.required ?? [];
  return Object.fromEntries(needed.map((name) => [name, schema.properties[name].type === "object" ? {} : ""]));
}

function address(path, operation, inputs) {
  let filled = path;
  const query = new URLSearchParams();
  for (const { name, in: where } of operation.parameters ?? []) {
    const value = inputs.get(name)?.value ?? "";
    if (where === "path") filled = filled.replace(`{${name}}`, encodeURIComponent(value));
    else if (where === "query" && value) query.set(name, value);
  }
  const text = query.toString();
  return new URL(filled.slice(1) + (text ? `?${text}` : ""), document.baseURI);
}

async function ask(method, url, body, output) {
  output.textContent = "…";
  const key = at("key").value.trim();
  const headers = { ...(key ? { Authorization: `Bearer ${key}` } : {}), ...(body ? { "Content-Type": "application/json" } : {}) };
  try {
    const answer = await fetch(url, { method: method.toUpperCase(), headers, body: body || undefined });
    const type = answer.headers.get("content-type") ?? "";
    const head = `${answer.status} ${answer.statusText}\n${type}\n\n`;
    if (type.includes("json")) output.textContent = head + JSON.stringify(await answer.json(), null, 2);
    else if (type.startsWith("text/plain")) output.textContent = head + (await answer.text()).slice(0, 20_000);
    else {
      await answer.body?.cancel();
      output.textContent = `${head}(a file: open the address itself)`;
    }
  } catch (error) {
    output.textContent = `No answer: ${error.message}`;
  }
}

function trial(path, method, operation, shapes, inputs) {
  const schema = operation.requestBody?.content?.["application/json"]?.schema;
  const body = schema ? make("textarea", { "aria-label": "body", spellcheck: "false" }) : null;
  if (body) body.value = JSON.stringify(example(schema, shapes), null, 2);
  const output = make("pre", { hidden: "", tabindex: "0" });
  const send = make("button", { type: "button" }, "Send");
  send.addEventListener("click", () => {
    output.hidden = false;
    ask(method, address(path, operation, inputs), body?.value, output);
  });
  return [body ? make("p", {}, "Body: ", ...spell(schema)) : null, body, make("p", {}, send), output];
}

function answers(operation) {
  const rows = Object.entries(operation.responses ?? {}).map(([status, told]) => {
    const schema = told.content?.["application/json"]?.schema;
    return make("tr", {}, make("td", {}, status), make("td", {}, ...(schema ? spell(schema) : [])), make("td", { class: "quiet" }, told.description));
  });
  return make("table", {}, ...rows);
}

function draw(path, method, operation, shapes) {
  const inputs = new Map();
  const rows = (operation.parameters ?? []).map((one) => {
    const input = make("input", { "aria-label": one.name });
    inputs.set(one.name, input);
    return row(one.name, one.required, one.schema, one.description, input);
  });
  const says = (operation.description ?? operation.summary ?? "").replaceAll("`", "");
  const scope = make("span", { class: "scope" }, operation["x-scope"] ?? "");
  const title = make("summary", {}, make("span", { class: `method ${method}` }, method.toUpperCase()), make("span", { class: "path" }, path), make("span", { class: "quiet" }, says), scope);
  const inside = make("div", {}, rows.length ? make("table", {}, ...rows) : null, answers(operation));
  inside.append(...trial(path, method, operation, shapes, inputs).filter(Boolean));
  const whole = make("details", {}, title, inside);
  whole.dataset.words = `${method} ${path} ${operation.summary ?? ""} ${operation.description ?? ""}`.toLowerCase();
  return whole;
}

function drawAll(description) {
  const shapes = description.components?.schemas ?? {};
  document.title = `The interface · ${description.info.title}`;
  at("about").textContent = `${description.info.title} ${description.info.version}. ${(description.info.description ?? "").replaceAll("`", "")}`;
  const rooms = new Map();
  for (const [path, item] of Object.entries(description.paths)) {
    for (const method of METHODS.filter((one) => item[one])) {
      const tag = item[method].tags?.[0] ?? "other";
      if (!rooms.has(tag)) rooms.set(tag, make("section", {}, make("h2", {}, tag)));
      rooms.get(tag).append(draw(path, method, item[method], shapes));
    }
  }
  at("operations").replaceChildren(...rooms.values());
  at("shapes").replaceChildren(
    ...Object.entries(shapes).map(([name, schema]) =>
      make("details", { id: name }, make("summary", {}, make("span", { class: "path" }, name), make("span", { class: "quiet" }, schema.description ?? "")), make("div", {}, properties(schema)))),
  );
}

function find() {
  const wanted = at("find").value.trim().toLowerCase();
  for (const one of document.querySelectorAll("#operations details")) one.hidden = !one.dataset.words.includes(wanted);
  for (const room of document.querySelectorAll("#operations section")) room.hidden = !room.querySelector("details:not([hidden])");
}

addEventListener("hashchange", () => {
  const target = at(location.hash.slice(1));
  if (target instanceof HTMLDetailsElement) target.open = true;
});
at("tools").addEventListener("submit", (event) => event.preventDefault());
at("find").addEventListener("input", find);
fetch("openapi.json")
  .then((answer) => answer.json())
  .then(drawAll)
  .catch((error) => {
    at("about").textContent = `The description cannot be read: ${error.message}`;
  });
