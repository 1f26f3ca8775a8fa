import { compareWithConsul } from './harness.ts';
import { filter } from './scenarios/filter.ts';

compareWithConsul(filter);
