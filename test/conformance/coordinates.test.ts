import { compareWithConsul } from './harness.ts';
import { coordinates } from './scenarios/coordinates.ts';

compareWithConsul(coordinates);
