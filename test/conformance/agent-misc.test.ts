import { compareWithConsul } from './harness.ts';
import { agentMisc } from './scenarios/agent-misc.ts';

compareWithConsul(agentMisc);
