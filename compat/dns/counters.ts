/** What a DNS server has done since it started. Each number only grows. */
export interface DnsCounters {
  queriesUdp: number;
  queriesTcp: number;
  /** Packets that are no questions, answered with an error or not at all. */
  malformed: number;
  refused: number;
  /** Questions that were forwarded, and those that no recursor answered. */
  recursed: number;
  recursionFailures: number;
  /** Questions given up because too many were being forwarded already. */
  recursionOverloads: number;
  /** Connections closed because there were too many, or because they were idle. */
  connectionsRefused: number;
  connectionsIdled: number;
  /** Packets that could not be sent, and errors of sockets. */
  sendErrors: number;
  socketErrors: number;
  /** Questions that failed for a reason of ours. */
  defects: number;
}

export function newCounters(): DnsCounters {
  return {
    queriesUdp: 0,
    queriesTcp: 0,
    malformed: 0,
    refused: 0,
    recursed: 0,
    recursionFailures: 0,
    recursionOverloads: 0,
    connectionsRefused: 0,
    connectionsIdled: 0,
    sendErrors: 0,
    socketErrors: 0,
    defects: 0,
  };
}
