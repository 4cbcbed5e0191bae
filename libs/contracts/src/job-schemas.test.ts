import { globSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, it } from 'vitest';
import { jobSchemas } from './job-schemas.ts';

const folder = resolve(import.meta.dirname, '../../../docs/jobs');

// By value: how the files are laid out is the formatter's business.
const parse = (text: string | undefined): unknown => JSON.parse(text ?? 'null');

it('docs/jobs holds exactly what the schemas say (else: node libs/contracts/src/generate-schemas.ts)', () => {
  const written = new Map(
    globSync('*.schema.json', { cwd: folder }).map((name) => [name, readFileSync(resolve(folder, name), 'utf8')]),
  );
  expect([...written.keys()].toSorted()).toEqual([...jobSchemas().keys()].toSorted());
  for (const [name, text] of jobSchemas())
    expect({ name, schema: parse(written.get(name)) }).toEqual({ name, schema: parse(text) });
});
