// What `npm test` is made of. A step is one line of the verdict.
import { join } from 'node:path';
import { root } from './paths.mjs';

export interface Step {
  readonly name: string;
  /** Script and arguments, run by this Node. */
  readonly argv: readonly string[];
  /** A step that hangs is killed, so that the run still ends with a verdict. */
  readonly timeoutMs: number;
  /** The folder or file with vitest's JSON reports. Without it the step counts as one check. */
  readonly reports?: string;
  readonly needs?: readonly ('engine' | 'redis' | 'chromium' | 'helm')[];
  /** Skipped when this step failed: what it would say is already known, and it is slow. */
  readonly after?: string;
}

export const reportDir = join(root, '.cache/test');
const bin = (name: string): string => join(root, 'node_modules/.bin', name);
const minutes = (n: number): number => n * 60_000;

const nx = (target: string): string[] => [bin('nx'), 'run-many', '-t', target, '--outputStyle=static'];

function vitest(project: string): Pick<Step, 'name' | 'argv' | 'reports'> {
  const report = join(reportDir, project);
  const reporters = ['--reporter=default', '--reporter=json', '--reporter=junit'];
  const files = [`--outputFile.json=${report}.json`, `--outputFile.junit=${report}.xml`];
  const argv = [bin('vitest'), 'run', '--project', project, '--passWithNoTests', ...reporters, ...files];
  return { name: project, argv, reports: `${report}.json` };
}

export const steps: readonly Step[] = [
  { name: 'format', argv: [bin('oxfmt'), '--check'], timeoutMs: minutes(1) },
  { name: 'lint', argv: nx('lint'), timeoutMs: minutes(5) },
  { name: 'typecheck', argv: nx('typecheck'), timeoutMs: minutes(5) },
  { name: 'boundaries', argv: [join(root, 'infra/checks/boundaries.ts')], timeoutMs: minutes(1) },
  { ...vitest('unit'), timeoutMs: minutes(5) },
  { ...vitest('parity'), timeoutMs: minutes(3) },
  { ...vitest('chart'), timeoutMs: minutes(5), needs: ['helm'] },
  { ...vitest('e2e'), timeoutMs: minutes(20), needs: ['redis', 'chromium'], after: 'typecheck' },
  { ...vitest('faults-live'), timeoutMs: minutes(15), needs: ['redis', 'chromium'], after: 'typecheck' },
  { ...vitest('redis'), timeoutMs: minutes(10), needs: ['redis'] },
  { ...vitest('faults'), timeoutMs: minutes(15), needs: ['redis'], after: 'typecheck' },
  // From here on in containers on a CI machine too. What listens to media or restarts Redis a hundred times came before: an engine's
  // proxies take CPU, and its disk is slow.
  { ...vitest('integration'), timeoutMs: minutes(10), needs: ['engine', 'redis', 'chromium'] },
  { ...vitest('containers'), timeoutMs: minutes(15), needs: ['engine', 'chromium'], after: 'typecheck' },
];
