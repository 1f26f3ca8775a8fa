import { createHash, createHmac, randomBytes } from 'node:crypto';
import { hashOfDigest } from '../../evidence/distinct.ts';
import type { KeyId } from '../../evidence/evidence.ts';
import type { EvidencePart, SampleKey, SampleSide } from '../../evidence/snapshot.ts';
import type { Facts } from './facts.ts';

const textLengthMax = 256;

/** Shows keys and values as evidence may hold them: never in clear, unless an operator said so. */
export class Redactor {
  readonly #mode: 'redacted' | 'revealed';
  #secret: Buffer;

  constructor(mode: 'redacted' | 'revealed', secret: Buffer = randomBytes(32)) {
    this.#mode = mode;
    this.#secret = secret;
  }

  get secret(): Buffer {
    return this.#secret;
  }

  /** One secret of the whole fleet, so that keys correlate between gateways. */
  adopt(secret: Buffer): void {
    this.#secret = secret;
  }

  get redaction(): EvidencePart['redaction'] {
    const secretId = createHash('sha256').update('evidence secret\n').update(this.#secret).digest('hex');
    return { mode: this.#mode, secretName: 'per-fleet', secretId: secretId.slice(0, 16) };
  }

  keyId(of: string, subject: string): KeyId {
    const hmac = this.#hmac(`${of}\n${subject}`);
    return { hmac, hash: hashOfDigest(hmac) };
  }

  key(of: string, subject: string): SampleKey {
    const slash = subject.indexOf('/');
    const shown = {
      prefix: slash === -1 ? '' : subject.slice(0, slash + 1),
      hmac: this.keyId(of, subject).hmac,
    };
    return this.#mode === 'revealed' ? { ...shown, key: subject } : shown;
  }

  name(text: string): string {
    return this.#mode === 'revealed' ? text : this.#hmac(`name\n${text}`).slice(0, 16);
  }

  /** One entry of an answer, or what is known of the answer when it has no such entry. */
  side(facts: Facts, entryId: string): SampleSide {
    const entry = facts.entries.get(entryId);
    const { status } = facts;
    if (entry === undefined) return { status, length: 0, hmac: '', index: facts.index };
    const shown = {
      status,
      length: entry.length,
      hmac: this.#hmac(`value\n${entry.content}`),
      index: entry.version ?? facts.index,
      flags: entry.flags,
      held: entry.session !== '',
    };
    return this.#mode === 'revealed' ? { ...shown, text: entry.content.slice(0, textLengthMax) } : shown;
  }

  /** A digest by which gateways agree or not: the same everywhere, and of nobody else's use. */
  digest(text: string): string {
    return createHash('sha256').update(text).digest('hex');
  }

  #hmac(text: string): string {
    return createHmac('sha256', this.#secret).update(text).digest('hex').slice(0, 32);
  }
}
