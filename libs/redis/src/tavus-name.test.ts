import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { parseTavusName, tavusName } from './tavus-name.ts';

const ours = { base: 'Support', fleetId: 'prod-1', conversationId: 'c_1-X', epoch: 3, attempt: 2 };

it('builds the documented form', () => {
  expect(tavusName(ours)).toBe('Support [tf:prod-1:c_1-X:3.2]');
  expect(tavusName({ ...ours, base: '' })).toBe('[tf:prod-1:c_1-X:3.2]');
});

it('reads back what it built, whatever the base is, cut to 40 characters', () => {
  fc.assert(
    fc.property(
      fc.string({ maxLength: 80, unit: 'grapheme' }),
      fc.nat(1_000_000),
      fc.nat(99),
      (base, epoch, attempt) => {
        const name = tavusName({ ...ours, base, epoch, attempt });
        expect(parseTavusName(name)).toMatchObject({ fleetId: 'prod-1', conversationId: 'c_1-X', epoch, attempt });
        expect(Array.from(parseTavusName(name)?.base ?? '').length).toBeLessThanOrEqual(40);
      },
    ),
  );
});

it('takes only the tag at the end, so that a caller cannot pass for another conversation', () => {
  expect(parseTavusName(tavusName({ ...ours, base: 'x [tf:evil:other:1.1]' }))).toMatchObject({
    fleetId: 'prod-1',
    conversationId: 'c_1-X',
  });
});

it.each(['', 'Support', '[tf:prod-1:c:1.1] more', 'x[tf:p:c:1.1]', '[tf::c:1.1]', '[tf:p:c d:1.1]', '[tf:p:c:1]'])(
  'does not take %s for ours',
  (name) => {
    expect(parseTavusName(name)).toBeUndefined();
  },
);
