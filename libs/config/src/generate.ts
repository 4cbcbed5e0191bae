// Writes `.env.example` and docs/configuration.md from the list of variables: node libs/config/src/generate.ts
import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { renderConfigurationPage, renderEnvExample } from './render.ts';

const root = resolve(import.meta.dirname, '../../..');
writeFileSync(resolve(root, '.env.example'), renderEnvExample());
writeFileSync(resolve(root, 'docs/configuration.md'), renderConfigurationPage());
