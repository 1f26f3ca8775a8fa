import { kvAreas } from './areas.ts';
import { compareWithConsul } from './harness.ts';

compareWithConsul(...kvAreas);
