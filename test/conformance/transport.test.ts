import { compareWithConsul } from './harness.ts';
import { transport } from './scenarios/transport.ts';

compareWithConsul(transport);
