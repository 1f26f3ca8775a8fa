import { readFileSync, writeFileSync } from 'node:fs';
import { publishedSchemas } from '../migration/report/json-schema.ts';

// Writes docs/report-schema from what the code reads; with --check says whether it is up to date.

const check = process.argv.includes('--check');
for (const [name, schema] of Object.entries(publishedSchemas())) {
  const path = new URL(`../docs/report-schema/${name}`, import.meta.url);
  const text = `${JSON.stringify(schema, null, 2)}\n`;
  if (!check) {
    writeFileSync(path, text);
  } else if (JSON.stringify(JSON.parse(readFileSync(path, 'utf8'))) !== JSON.stringify(schema)) {
    console.error(
      `docs/report-schema/${name} is not what the code says: run npx tsx scripts/report-schema.ts`,
    );
    process.exitCode = 1;
  }
}
