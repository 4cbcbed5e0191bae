import { expect, it } from 'vitest';
import { maxWaitingSamples } from './limits.ts';
import { StreamAccount } from './stream-account.ts';

it('lets ten seconds wait, by what the page reports', () => {
  const account = new StreamAccount();
  expect(account.take(maxWaitingSamples)).toBe(true);
  expect(account.take(1)).toBe(false);
  account.played(480);
  expect(account.take(480)).toBe(true);
  expect(account.take(1)).toBe(false);
});

it('counts what was written during a flush as waiting still', () => {
  const account = new StreamAccount();
  account.take(1_000);
  const writtenBefore = account.written;
  account.take(300);
  account.flushed(400, writtenBefore);
  expect(account).toMatchObject({ waiting: 300, consumed: 400 });
  account.played(700);
  expect(account.waiting).toBe(0);
});

it('stays right over several flushes and a late report', () => {
  const account = new StreamAccount();
  account.take(1_000);
  account.flushed(400, 1_000);
  account.take(500);
  account.flushed(600, 1_500);
  account.played(500); // sent before the flush, arrives after it
  expect(account).toMatchObject({ waiting: 0, consumed: 600 });
});

it('takes back what could not be sent', () => {
  const account = new StreamAccount();
  account.take(100);
  account.giveBack(100);
  expect(account.waiting).toBe(0);
});
