import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { countReports, verdict } from './verdict.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'verdict-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

function report(name: string, passed: number, failed: number, pending = 0, success = failed === 0): void {
  mkdirSync(join(dir, '@scope'), { recursive: true });
  const counts = { numPassedTests: passed, numFailedTests: failed, numPendingTests: pending, numTodoTests: 0 };
  writeFileSync(join(dir, name), JSON.stringify({ success, ...counts }));
}

describe('countReports', () => {
  it('adds up every report in a folder, scopes included', () => {
    report('a.json', 2, 1);
    report('@scope/b.json', 3, 0, 4);
    expect(countReports(dir, 1)).toEqual({ passed: 5, failed: 1, skipped: 4 });
  });

  it('counts a run that failed without a failed test', () => {
    report('a.json', 2, 0);
    expect(countReports(dir, 1)).toEqual({ passed: 2, failed: 1, skipped: 0 });
    report('a.json', 2, 0, 0, false);
    expect(countReports(dir, 0)).toEqual({ passed: 2, failed: 1, skipped: 0 });
  });

  it('counts a run that left no report', () => {
    expect(countReports(join(dir, 'none.json'), 1).failed).toBe(1);
  });

  it('refuses a report whose fields it does not know', () => {
    writeFileSync(join(dir, 'a.json'), '{"success":true}');
    expect(() => countReports(dir, 0)).toThrow(/not a report/);
  });
});

describe('verdict', () => {
  const outcome = (passed: number, failed: number, skipped = 0) => ({
    name: 'unit',
    passed,
    failed,
    skipped,
    durationMs: 1,
  });

  it('ends in the plain line, whatever was skipped', () => {
    const { text, ok } = verdict([outcome(3, 0, 2), outcome(4, 0)]);
    expect(text.split('\n').slice(-2)).toEqual(['2 skipped', '7 passed, 0 failed']);
    expect(ok).toBe(true);
  });

  it.each([
    { when: 'something failed', outcomes: [outcome(3, 1)] },
    { when: 'nothing was proved', outcomes: [outcome(0, 0)] },
  ])('is no success when $when', ({ outcomes }) => {
    expect(verdict(outcomes).ok).toBe(false);
  });
});
