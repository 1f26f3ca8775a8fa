import { areas } from './areas.ts';
import { compareConsulWithItself } from './harness.ts';

compareConsulWithItself(...areas);
