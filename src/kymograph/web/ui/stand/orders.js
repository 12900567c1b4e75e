// How an actuator is told something: a driver has commands, not one for each actuator, so what a command's
// arguments look like decides.
//
//   set_valves(valves: [n values])         a pattern of all two-state actuators of an instrument, in order
//   move(motor_id: 1…n, angle: number)     one of the others, by its place, by that much
import { signal, useEffect } from "../html.js";
import { api } from "../station/api.js";
import { control, order } from "../station/control.js";

/** What each instrument that moves can be told, by its name; filled once. */
export const commands = signal({});

async function askCommands(names) {
  const answers = await Promise.all(names.map((name) => api.instrument(name).catch(() => null)));
  const known = answers.filter(Boolean).map((one) => [one.name, one.commands]);
  if (known.length) commands.value = { ...commands.peek(), ...Object.fromEntries(known) };
}

/** Have the commands of the instruments that move asked for; what is known of them. */
export function useCommands() {
  const movers = [...new Set((control.value?.actuators ?? []).map(({ instrument }) => instrument))];
  useEffect(() => {
    if (movers.length) askCommands(movers);
  }, [movers.join()]);
  return commands.value;
}

/** Whether an actuator has two states. */
export function isValve({ low, high, unit, labels }) {
  return low === 0 && high === 1 && (!unit || labels?.length === 2);
}

/** The actuators of an instrument that are of one kind, in the order in which its commands count them. */
export function siblings(actuators, instrument, valves) {
  return actuators.filter((one) => one.instrument === instrument && isValve(one) === valves);
}

function properties(command) {
  return Object.entries(command.arguments?.properties ?? {});
}

/** The command that takes a pattern of `count` values: `{ command, argument }`, or null. */
export function patternOrder(instrument, count) {
  for (const command of commands.value[instrument] ?? []) {
    const found = properties(command).find(
      ([, schema]) => schema.type === "array" && schema.minItems === count && schema.maxItems === count,
    );
    if (found) return { command: command.name, argument: found[0] };
  }
  return null;
}

/** The command that turns one of `count` by so much: `{ command, which, by }`, or null. */
export function moveOrder(instrument, count) {
  for (const command of commands.value[instrument] ?? []) {
    const which = properties(command).find(
      ([, schema]) => schema.type === "integer" && schema.minimum === 1 && schema.maximum === count,
    );
    const by = properties(command).find(([, schema]) => schema.type === "number");
    if (which && by) return { command: command.name, which: which[0], by: by[0], schema: by[1] };
  }
  return null;
}

/** Tell a valve to be 0 or 1 and leave the others as `told` has them, by name. */
export function setValve(actuator, value, told) {
  const all = siblings(control.peek().actuators, actuator.instrument, true);
  const pattern = all.map((one) => (one.name === actuator.name ? value : (told[one.name] ?? one.safe ?? 0)));
  const { command, argument } = patternOrder(actuator.instrument, all.length);
  return api.command(actuator.instrument, command, { [argument]: pattern }, order());
}

/** Turn a motor by an angle. */
export function moveBy(actuator, amount) {
  const all = siblings(control.peek().actuators, actuator.instrument, false);
  const { command, which, by } = moveOrder(actuator.instrument, all.length);
  const place = all.findIndex((one) => one.name === actuator.name) + 1;
  return api.command(actuator.instrument, command, { [which]: place, [by]: amount }, order());
}
