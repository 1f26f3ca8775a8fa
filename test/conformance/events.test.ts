import { compareWithConsul } from './harness.ts';
import { events } from './scenarios/events.ts';

compareWithConsul(events);
