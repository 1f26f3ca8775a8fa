import { compareWithConsul } from './harness.ts';
import { transactions } from './scenarios/txn.ts';

compareWithConsul(transactions);
