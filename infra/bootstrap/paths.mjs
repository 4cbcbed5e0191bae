import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

// `import.meta.dirname` is younger than the oldest Node this has to start on (18).
export const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

/** Everything the bootstrap installs lies in here, or in node_modules: the machine itself stays as it was. */
export const toolsDir = join(root, '.tools');
