import { compareWithConsul } from './harness.ts';
import { kv } from './scenarios/kv.ts';

compareWithConsul(kv);
