import { compareWithConsul } from './harness.ts';
import { catalogErrors } from './scenarios/catalog-errors.ts';

compareWithConsul(catalogErrors);
