import { agentAreas } from './areas.ts';
import { compareWithConsul } from './harness.ts';

compareWithConsul(...agentAreas);
