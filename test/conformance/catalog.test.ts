import { catalogAreas } from './areas.ts';
import { compareWithConsul } from './harness.ts';

compareWithConsul(...catalogAreas);
