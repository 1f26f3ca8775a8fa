import { configuredAreas } from './areas.ts';
import { compareWithConsul } from './harness.ts';

compareWithConsul(...configuredAreas);
