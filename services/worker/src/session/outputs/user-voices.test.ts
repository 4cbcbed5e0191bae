import type { Participant, RoomEvent } from '@tavus-fleet/rooms';
import { describe, expect, it } from 'vitest';
import { MAX_VOICES, UserVoices } from './user-voices.ts';

const who = (id: string, more: Partial<Participant> = {}): Participant => ({ id, local: false, tracks: {}, ...more });

function setup(where: 'tavus' | 'user', replica?: string) {
  const world = { replica, heard: [] as (readonly string[])[], tooMany: 0 };
  const voices = new UserVoices({
    where,
    hear: (ids) => world.heard.push(ids),
    replicaId: () => world.replica,
    onTooMany: () => (world.tooMany += 1),
  });
  const joins = (participant: Participant, room = where): void =>
    voices.roomEvent({ type: 'participant-joined', room, participant });
  const leaves = (id: string): void =>
    voices.roomEvent({ type: 'participant-left', room: where, participant: who(id) });
  return { voices, world, joins, leaves };
}
const bot = who('bot', { userData: { conversationId: 'c1', epoch: 2 } });
const second: RoomEvent = {
  type: 'media',
  report: { framesDecoded: 0, fps: 0, width: 0, height: 0, audioSamples: 0, concealedSamples: 0, audioPeak: 0 },
};

describe('UserVoices', () => {
  it('names the users of their room as they come and go, and neither us nor a bot', () => {
    const { voices, world, joins, leaves } = setup('user');
    voices.present([who('us', { local: true }), bot, who('ada')]);
    joins(who('bob'));
    joins(who('eve'), 'tavus');
    voices.roomEvent({
      type: 'participant-updated',
      room: 'user',
      participant: who('bob', { tracks: { audio: 'playable' } }),
    });
    leaves('ada');
    expect(world.heard).toEqual([['ada'], ['ada', 'bob'], ['bob']]);
  });

  it('in the avatar’s room waits until it is known who the avatar is', () => {
    const { voices, world, joins, leaves } = setup('tavus');
    joins(who('avatar'));
    joins(who('ada'));
    expect(world.heard).toEqual([]);
    world.replica = 'avatar';
    voices.roomEvent(second);
    expect(world.heard).toEqual([['ada']]);
    world.replica = undefined;
    leaves('avatar');
    joins(who('avatar-2'));
    expect(world.heard).toEqual([['ada']]); // nobody is taken away meanwhile, and nobody added
    world.replica = 'avatar-2';
    joins(who('bob'));
    expect(world.heard).toEqual([['ada'], ['ada', 'bob']]);
  });

  it('hears the first eight, says once that there are more, and takes up the next when one leaves', () => {
    const { world, joins, leaves } = setup('user');
    for (let at = 0; at < MAX_VOICES + 3; at += 1) joins(who(`u${at}`));
    expect(world.heard.at(-1)).toHaveLength(MAX_VOICES);
    expect(world.tooMany).toBe(1);
    leaves('u0');
    expect(world.heard.at(-1)).toEqual(Array.from({ length: MAX_VOICES }, (_, at) => `u${at + 1}`));
  });
});
