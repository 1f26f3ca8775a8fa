/**
 * Whether these are the servers of another cluster than those that are known: of one cluster they come and go one by one,
 * so one that is known is enough. Where nothing is known of either side nobody can tell, and it is not.
 */
export function isOtherCluster(known: readonly string[], servers: readonly string[]): boolean {
  return known.length > 0 && servers.length > 0 && !servers.some((server) => known.includes(server));
}

/** What an operator is told of it. */
export function otherClusterText(known: readonly string[], servers: readonly string[]): string {
  return (
    `another cluster answers at the address of the source (servers ${servers.join(', ')}; known are ` +
    `${known.join(', ')}): nothing is written there. Bring the right one back, or say ` +
    '"grapevine migrate accept-source" if this one is meant'
  );
}
