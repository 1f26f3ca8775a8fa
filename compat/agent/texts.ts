// Texts that clients match on: those of Consul 1.21, where 1.8 answered 500 or 200.

export function unknownService(id: string): string {
  return `Unknown service ID ${JSON.stringify(id)}. Ensure that the service ID is passed, not the service name.`;
}

export function unknownCheck(id: string): string {
  return `Unknown check ID ${JSON.stringify(id)}. Ensure that the check ID is passed, not the check name.`;
}

export function missingService(id: string): string {
  return `ServiceID ${JSON.stringify(id)} does not exist`;
}

/** Not Consul's: there such a registration fights with the server's own. */
export function reservedId(what: 'service' | 'check', id: string): string {
  return `The ${what} ID ${JSON.stringify(id)} is kept for this gateway itself`;
}
