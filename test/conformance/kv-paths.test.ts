import { compareWithConsul } from './harness.ts';
import { kvPaths } from './scenarios/kv-paths.ts';

compareWithConsul(kvPaths);
