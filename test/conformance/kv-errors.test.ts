import { compareWithConsul } from './harness.ts';
import { kvErrors } from './scenarios/kv-errors.ts';

compareWithConsul(kvErrors);
