import { compareWithConsul } from './harness.ts';
import { refusals } from './scenarios/refusals.ts';

compareWithConsul(refusals);
