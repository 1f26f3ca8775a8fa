import { areas } from './areas.ts';
import { compareConsulWithItself } from './harness.ts';

for (const area of areas) compareConsulWithItself(area);
