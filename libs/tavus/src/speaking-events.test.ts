import { describe, expect, it } from 'vitest';
import { SpeakingEvents } from './speaking-events.ts';

const old = (what: string, extra: object = {}) => ({ event_type: `conversation.${what}`, ...extra });
const unified = (what: string, role: string, extra: object = {}, properties: object = {}) => ({
  event_type: `conversation.${what}`,
  properties: { role, ...properties },
  ...extra,
});

function hear(messages: readonly [number, object][]): unknown[] {
  const events = new SpeakingEvents();
  return messages.flatMap(([at, message]) => {
    const event = events.accept(message, at);
    return event ? [event] : [];
  });
}

describe('SpeakingEvents', () => {
  it('says each fact once, whatever its wordings', () => {
    const heard = hear([
      [0, old('replica.started_speaking', { seq: 1, inference_id: 'a' })],
      [1, unified('started_speaking', 'replica', { seq: 2, inference_id: 'a' })],
      [2, unified('started_speaking', 'pal', { seq: 3 })],
      [
        900,
        unified('stopped_speaking', 'replica', { seq: 4, inference_id: 'a' }, { duration: 0.9, interrupted: true }),
      ],
      [901, old('replica.stopped_speaking', { seq: 5 })],
      [902, old('user.started_speaking', { seq: 6 })],
      [903, unified('started_speaking', 'user', { seq: 7 })],
    ]);
    expect(heard).toEqual([
      { kind: 'replica-started', seq: 1, inferenceId: 'a' },
      { kind: 'replica-stopped', seq: 4, inferenceId: 'a', durationS: 0.9, interrupted: true },
      { kind: 'user-started', seq: 6 },
    ]);
  });

  it('keeps two utterances apart: same wording, other id, or later', () => {
    expect(
      hear([
        [0, old('user.started_speaking')],
        [100, old('user.started_speaking')],
      ]).length,
    ).toBe(2);
    expect(
      hear([
        [0, old('replica.started_speaking', { inference_id: 'a' })],
        [1, unified('started_speaking', 'replica', { inference_id: 'b' })],
      ]).length,
    ).toBe(2);
    expect(
      hear([
        [0, old('user.stopped_speaking')],
        [5000, unified('stopped_speaking', 'user')],
      ]).length,
    ).toBe(2);
  });

  it('keeps the replica and the user apart', () => {
    expect(
      hear([
        [0, old('replica.started_speaking')],
        [1, unified('started_speaking', 'user')],
      ]),
    ).toEqual([{ kind: 'replica-started' }, { kind: 'user-started' }]);
  });

  it('ignores everything else', () => {
    expect(
      hear([
        [0, { event_type: 'conversation.utterance', properties: { role: 'user', speech: 'x' } }],
        [1, { event_type: 'system.new' }],
      ]),
    ).toEqual([]);
  });
});
