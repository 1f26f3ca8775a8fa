import { compareWithConsul } from './harness.ts';
import { locks } from './scenarios/locks.ts';

compareWithConsul(locks);
