import { fields, list, number, text } from './shape.js';

// What `/v1/grapevine/migration/gates` says: how the next step of each rule stands, and how its keys compare.

/** @typedef {{ readonly name: string, readonly state: string, readonly detail: string }} Gate */
/** @typedef {ReturnType<typeof readLook>} Look */

/** By kind and prefix. @param {unknown} body @returns {ReadonlyMap<string, Look>} */
export function readLooks(body) {
  return new Map(
    list(fields(body)['rules']).map((each) => {
      const look = readLook(fields(each));
      return [`${look.kind} ${look.prefix}`, look];
    }),
  );
}

/** @param {import('./shape.js').Fields} look */
function readLook(look) {
  const reads = fields(look['reads']);
  const sweep = fields(look['sweep']);
  return {
    kind: text(look['kind']) ?? 'kv',
    prefix: text(look['prefix']) ?? '',
    step: number(look['step']),
    ways: list(look['ways'])
      .map(fields)
      .map((way) => ({ to: text(way['to']) ?? '?', gates: list(way['gates']).map(readGate) })),
    reads:
      number(reads['compared']) === null
        ? null
        : {
            compared: Number(reads['compared']),
            persistent: number(reads['persistent']),
            transient: number(reads['transient']),
            open: number(reads['open']) ?? 0,
            kinds: Object.entries(fields(reads['kinds'])).map(
              ([kind, value]) => /** @type {const} */ ([kind, number(value)]),
            ),
          },
    sweep:
      number(sweep['atMs']) === null
        ? null
        : {
            atMs: Number(sweep['atMs']),
            compared: number(sweep['compared']),
            persistent: number(sweep['persistent']),
            failure: text(sweep['failure']),
          },
  };
}

/** @param {unknown} each @returns {Gate} */
export function readGate(each) {
  const gate = fields(each);
  return {
    name: text(gate['name']) ?? '?',
    // What this page does not know is not green.
    state: gate['state'] === 'green' || gate['state'] === 'red' ? gate['state'] : 'unknown',
    detail: text(gate['detail']) ?? '',
  };
}
