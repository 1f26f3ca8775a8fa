import { compareWithConsul } from './harness.ts';
import { agentServices } from './scenarios/agent-services.ts';

compareWithConsul(agentServices);
