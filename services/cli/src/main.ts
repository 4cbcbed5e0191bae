import { ConfigError, loadConfig } from '@tavus-fleet/config';
import { run } from './program.ts';

try {
  process.exitCode = await run(process.argv.slice(2), {
    config: () => loadConfig('cli', process.env),
    env: process.env,
    write: (text) => void process.stdout.write(text),
    complain: (text) => void process.stderr.write(text),
  });
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = error.exitCode;
}
