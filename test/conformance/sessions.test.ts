import { compareWithConsul } from './harness.ts';
import { sessions } from './scenarios/sessions.ts';

compareWithConsul(sessions);
