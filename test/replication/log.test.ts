import type { OriginId } from '../../src/crdt/dot.ts';
import { must } from '../../src/kernel/assert.ts';
import { MemoryStore } from '../../src/io/memory-store.ts';
import { Replica } from '../../src/node/replica.ts';
import { FakeLog } from './fake-log.ts';
import { describeReplicatedLog, type LogUnderTest, type Writer } from './log-suite.ts';

const writerId = '00000000-0000-4000-8000-000000000001';
const readerId = '00000000-0000-4000-8000-000000000002';
const writerOrigin = '1'.repeat(32) as OriginId;
const readerOrigin = '2'.repeat(32) as OriginId;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describeReplicatedLog('FakeLog', {
  writer: (): Writer => {
    const log = new FakeLog(writerOrigin, writerId);
    return {
      log,
      transact: (work) => work(),
      write: (key, text, now) => void log.write([{ key, value: text === null ? null : bytes(text) }], now),
    };
  },
  reader: () => ({ log: new FakeLog(readerOrigin, readerId), transact: (work) => work() }),
});

function replica(origin: OriginId, nodeId: string): LogUnderTest & { readonly log: Replica } {
  const store = new MemoryStore();
  const log = new Replica({ store, origin, nodeId });
  return {
    log,
    transact: (work) =>
      store.transact(() => {
        const result = work();
        log.flush();
        return result;
      }),
  };
}

describeReplicatedLog('Replica', {
  writer: (): Writer => {
    const subject = replica(writerOrigin, writerId);
    subject.transact(() => must(subject.log.found(1_740_000_000_000_000)));
    return {
      ...subject,
      write: (key, text, { wallUs }) => {
        if (text === null) subject.log.step({ kind: 'kv-delete', key }, wallUs);
        else {
          const mode = { kind: 'plain' } as const;
          subject.log.step({ kind: 'kv-put', key, flags: 0n, value: bytes(text), mode }, wallUs);
        }
      },
    };
  },
  reader: () => replica(readerOrigin, readerId),
});
