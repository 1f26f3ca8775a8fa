import { compareWithConsul } from './harness.ts';
import { statusOperator } from './scenarios/status-operator.ts';

compareWithConsul(statusOperator);
