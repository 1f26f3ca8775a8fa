import type { WireAnswer } from './connection.ts';
import type { ReadMeta } from './consul-reader.ts';

export type Answer = Extract<WireAnswer, { kind: 'answer' }>;

export function bodyText(answer: Answer): string {
  return answer.body.toString('utf8');
}

/** What the headers say of how far an answer can be believed. */
export function metaOf(answer: Answer): ReadMeta {
  const header = answer.header('x-consul-index') ?? '';
  const index = /^\d+$/.test(header) ? Number(header) : Number.NaN;
  return {
    index: Number.isSafeInteger(index) ? index : null,
    knownLeader: answer.header('x-consul-knownleader') === 'true',
    filtered: answer.header('x-consul-results-filtered-by-acls') === 'true',
  };
}

/** Consul's own 404 carries an index; a load balancer's does not and says nothing about keys. */
export function isConsul404(answer: Answer): boolean {
  return answer.status === 404 && answer.header('x-consul-index') !== undefined;
}
