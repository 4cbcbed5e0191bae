import { expect, it } from 'vitest';
import { interactionOf } from './interactions.ts';
import { SpeakingEvents } from './speaking-events.ts';

const echo = (properties: object): unknown => ({
  message_type: 'conversation',
  event_type: 'conversation.echo',
  properties: { modality: 'audio', audio: 'AAA=', ...properties },
});

it.each([
  [
    { inference_id: 'i', done: true, sample_rate: 24_000 },
    { isDone: true, sampleRate: 24_000 },
  ],
  [
    { inference_id: 'i', done: 'true' },
    { isDone: true, sampleRate: 16_000 },
  ],
  [{ inference_id: 'i' }, { isDone: false, sampleRate: 16_000 }],
])('echo %j', (properties, expected) => {
  expect(interactionOf(echo(properties))).toMatchObject({ kind: 'echo', inferenceId: 'i', ...expected });
});

it('obeys an interruption and ignores the rest', () => {
  expect(interactionOf({ message_type: 'conversation', event_type: 'conversation.interrupt' })).toEqual({
    kind: 'interrupt',
  });
  for (const other of [
    null,
    'text',
    { event_type: 'conversation.interrupt' },
    echo({ sample_rate: 1 }),
    echo({ modality: 'text' }),
  ])
    expect(interactionOf(other)).toBeNull();
});

it('tells of a turn in both forms, numbered, under one inference id', () => {
  const events = new SpeakingEvents('c1', () => 'made');
  const all = [
    ...events.messages({ kind: 'started', inferenceId: null }, 1_500),
    ...events.messages({ kind: 'stopped', inferenceId: null, seconds: 2.0004, interrupted: true }, 3_500),
  ];
  expect(
    all.map((event) => [
      event['event_type'],
      event['seq'],
      event['inference_id'],
      event['timestamp'],
      event['properties'],
    ]),
  ).toEqual([
    ['conversation.replica.started_speaking', 1, 'made', 1.5, {}],
    ['conversation.started_speaking', 2, 'made', 1.5, { role: 'replica' }],
    ['conversation.replica.stopped_speaking', 3, 'made', 3.5, { interrupted: true, duration: 2 }],
    ['conversation.stopped_speaking', 4, 'made', 3.5, { role: 'replica', interrupted: true, duration: 2 }],
  ]);
});
