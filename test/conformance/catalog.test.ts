import { compareWithConsul } from './harness.ts';
import { catalog } from './scenarios/catalog.ts';

compareWithConsul(catalog);
