import { compareWithConsul } from './harness.ts';
import { agentChecks } from './scenarios/agent-checks.ts';

compareWithConsul(agentChecks);
