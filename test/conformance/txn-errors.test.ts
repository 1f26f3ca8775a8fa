import { compareWithConsul } from './harness.ts';
import { transactionErrors } from './scenarios/txn-errors.ts';

compareWithConsul(transactionErrors);
