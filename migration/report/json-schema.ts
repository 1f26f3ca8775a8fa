import { z } from 'zod';
import { reportModel, reportSchemaName } from './model.ts';
import { thresholdsModel, thresholdsSchemaName } from './thresholds.ts';

/** The published schemas, by file name below docs/report-schema. */
export function publishedSchemas(): Readonly<Record<string, object>> {
  return {
    'readconsistency-1.schema.json': {
      ...shape(reportModel),
      $id: 'urn:grapevine:readconsistency:1',
      title: `Grapevine read-consistency report, ${reportSchemaName}`,
      description:
        'Written by `grapevine migrate compare` (run.mode sweep) and by gateways that compare reads (run.mode shadow). ' +
        'Minors are additive: readers must pass over what they do not know, and blocks that a mode does not have are ' +
        'absent. docs/report.md says how to read it.',
    },
    'readconsistency-thresholds-1.schema.json': {
      ...shape(thresholdsModel),
      $id: 'urn:grapevine:readconsistency-thresholds:1',
      title: `Thresholds of a report's gates and comparisons, ${thresholdsSchemaName}`,
      description:
        'For `grapevine report gate` and `grapevine report diff`. A limit of null leaves its gate out.',
    },
  };
}

function shape(model: z.ZodType): object {
  return z.toJSONSchema(model, { target: 'draft-2020-12', io: 'input' });
}
