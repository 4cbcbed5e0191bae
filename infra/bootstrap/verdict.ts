import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Count {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export interface Outcome extends Count {
  readonly name: string;
  readonly durationMs: number;
  readonly note?: string;
}

/** What of vitest's JSON report we read. */
interface Report {
  readonly success: boolean;
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
}

/**
 * Adds up the vitest reports at `path` (a file, or a folder of them). Exit code and reports must agree: a run that
 * fails without a failed test (an unhandled error, a crash before the report, one project that never ran) counts as one failure.
 */
export function countReports(path: string, exitCode: number): Count {
  let passed = 0;
  let failed = 0;
  let skipped = 0;
  for (const file of reportFiles(path)) {
    // Vitest writes this file; if it changes its names the sums become NaN, and NaN is no success below.
    const report = JSON.parse(readFileSync(file, 'utf8')) as Report;
    passed += report.numPassedTests;
    failed += report.numFailedTests === 0 && !report.success ? 1 : report.numFailedTests;
    skipped += report.numPendingTests + report.numTodoTests;
  }
  if (Number.isNaN(passed + failed + skipped)) throw new Error(`${path} is not a report that this reader knows`);
  return { passed, failed: exitCode !== 0 && failed === 0 ? 1 : failed, skipped };
}

function reportFiles(path: string): string[] {
  if (path.endsWith('.json')) return existsSync(path) ? [path] : [];
  return globSync('**/*.json', { cwd: path }).map((file) => join(path, file));
}

/** The table, then the line that scripts read; skipped tests are never part of that line, so that its form is fixed. */
export function verdict(outcomes: readonly Outcome[]): { text: string; ok: boolean } {
  const sum = (key: keyof Count): number => outcomes.reduce((total, outcome) => total + outcome[key], 0);
  const widest = Math.max(4, ...outcomes.map(({ name }) => name.length));
  const lines = outcomes.map(({ name, passed, failed, skipped, durationMs, note }) => {
    const mark = failed > 0 ? '✗' : passed > 0 ? '✓' : '-';
    const seconds = `${(durationMs / 1000).toFixed(1)} s`;
    const counts = [`${passed} passed`, failed > 0 ? `${failed} failed` : '', skipped > 0 ? `${skipped} skipped` : ''];
    return `  ${mark} ${name.padEnd(widest)} ${seconds.padStart(9)}   ${note ?? counts.filter(Boolean).join(', ')}`;
  });
  const skipped = sum('skipped');
  const [passed, failed] = [sum('passed'), sum('failed')];
  const closing = [...(skipped > 0 ? [`${skipped} skipped`] : []), `${passed} passed, ${failed} failed`];
  // A run in which nothing was proved is no success.
  return { text: ['', ...lines, '', ...closing].join('\n'), ok: failed === 0 && passed > 0 };
}
