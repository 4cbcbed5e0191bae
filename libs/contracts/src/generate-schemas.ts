// Writes docs/jobs/*.schema.json from the zod schemas: node libs/contracts/src/generate-schemas.ts
import { globSync, rmSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { jobSchemas } from './job-schemas.ts';

const folder = resolve(import.meta.dirname, '../../../docs/jobs');
for (const old of globSync('*.schema.json', { cwd: folder })) rmSync(resolve(folder, old));
for (const [name, text] of jobSchemas()) writeFileSync(resolve(folder, name), text);
