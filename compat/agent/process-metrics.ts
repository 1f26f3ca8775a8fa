/**
 * What Node tells of its process, in the text format of Prometheus. The package is loaded when somebody scrapes for
 * the first time: a gateway that nobody scrapes pays nothing for it.
 */
export function processMetrics(): () => Promise<string> {
  let registry: Promise<{ metrics(): Promise<string> }> | undefined;
  return async () => {
    registry ??= import('prom-client').then(({ collectDefaultMetrics, Registry }) => {
      const made = new Registry();
      collectDefaultMetrics({ register: made });
      return made;
    });
    return (await registry).metrics();
  };
}
