import { compareWithConsul } from './harness.ts';
import { kvBlocking } from './scenarios/kv-blocking.ts';

compareWithConsul(kvBlocking);
