import { compareWithConsul } from './harness.ts';
import { modes } from './scenarios/modes.ts';

compareWithConsul(modes);
