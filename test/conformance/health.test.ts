import { compareWithConsul } from './harness.ts';
import { health } from './scenarios/health.ts';

compareWithConsul(health);
