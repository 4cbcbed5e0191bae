import { readRecord, splitRequest, StartRequest } from '@tavus-fleet/contracts';
import { expect, it } from 'vitest';
import { newRecordFields, patchArguments } from './record-codec.ts';

const spec = splitRequest(StartRequest.parse({ replicaId: 'r', settings: { model: 'm' } })).spec;
const fields = newRecordFields({ conversationId: 'c1', createdBy: 'k', spec });
const hash = (): Record<string, string> => {
  const entries = Array.from({ length: fields.length / 2 }, (_, i) => [fields[2 * i] ?? '', fields[2 * i + 1] ?? '']);
  return { ...Object.fromEntries(entries), state: 'queued', epoch: '0', createdAt: '1' };
};

it('reads back what it wrote', () => {
  expect(readRecord('c1', hash())).toMatchObject({
    conversationId: 'c1',
    createdBy: 'k',
    spec,
    settings: { model: 'm' },
    epoch: 0,
    position: '0',
  });
});

it('says that there is none', () => expect(readRecord('c1', {})).toBeUndefined());

it.each([
  ['spec', '{'],
  ['spec', '{}'],
  ['state', 'asleep'],
  ['epoch', ''],
  ['epoch', 'x'],
  ['counters', '7'],
  ['conversationId', 'c2'],
])('names the field when %s is %s', (field, text) => {
  const broken = { ...hash(), [field]: text };
  expect(() => readRecord('c1', broken)).toThrow(
    expect.objectContaining({ code: 'internal', field: expect.stringContaining(field) }),
  );
});

it('turns null into a deletion and leaves out what is not given', () => {
  expect(patchArguments({ tavusConversationId: null, position: '5-0', counters: undefined as never })).toEqual([
    1,
    'tavusConversationId',
    'position',
    '5-0',
  ]);
});
