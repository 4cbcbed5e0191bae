import { afterEach, describe, expect, it } from 'vitest';
import { maxWaitingSamples, sampleRate } from './limits.ts';
import type { JoinOptions, Room, RoomEvent, RoomName } from './port.ts';

/** What one test of the contract gets: a room nobody has joined yet, and where to join. */
export type ContractWorld = {
  readonly room: Room;
  readonly identity: { readonly conversationId: string; readonly epoch: number };
  readonly tavus: JoinOptions;
  readonly user: JoinOptions;
  /** Somebody joins that room, speaks all the time and shows a moving picture; answers its participant id. */
  visitor(room: RoomName): Promise<string>;
  /** Lets time go on until the condition holds; throws when it does not within a few seconds. */
  until(condition: () => boolean, what: string): Promise<void>;
  /** Closes everything that was made for the test, twice if need be. */
  end(): Promise<void>;
};

const second = new Uint8Array(sampleRate * 2);

/** What every `Room` must do, the fake and the real adapter alike, so that tests on the fake say something about the product. */
export function roomContract(name: string, make: () => Promise<ContractWorld>): void {
  describe(`${name} is a Room`, () => {
    let world: ContractWorld | undefined;
    afterEach(() => world?.end());
    const signal = (): AbortSignal => AbortSignal.timeout(30_000);
    async function setup() {
      world = await make();
      const events: RoomEvent[] = [];
      world.room.on((event) => events.push(event));
      const until = world.until.bind(world);
      async function visited(room: RoomName): Promise<string> {
        const id = await made.visitor(room);
        await until(
          () => events.some((event) => event.type === 'participant-joined' && event.participant.id === id),
          'the visitor',
        );
        return id;
      }
      const made = world;
      return { ...world, until, events, visited };
    }
    async function published() {
      const made = await setup();
      await made.room.join(made.tavus, signal());
      await made.room.publishStream(signal());
      const lastPlayed = () => made.events.findLast((event) => event.type === 'played');
      return { ...made, lastPlayed };
    }

    it('says who joined: our name and whose session we are', async () => {
      const { room, tavus, identity } = await setup();
      const joined = await room.join(tavus, signal());
      const local = joined.participants.find((participant) => participant.local);
      expect(local).toMatchObject({ id: joined.participantId, userName: tavus.userName, userData: identity });
      expect(joined.maxMessageLength).toBeGreaterThanOrEqual(4_096);
    });

    it('joins a room once', async () => {
      const { room, tavus } = await setup();
      await room.join(tavus, signal());
      await expect(room.join(tavus, signal())).rejects.toMatchObject({ code: 'room-join-failed' });
    });

    it('joins the user room beside it, once', async () => {
      const { room, tavus, user } = await setup();
      await room.join(tavus, signal());
      const joined = await room.joinUserRoom(user, signal());
      expect(
        joined.participants.some((participant) => participant.local && participant.userName === user.userName),
      ).toBe(true);
      await expect(room.joinUserRoom(user, signal())).rejects.toMatchObject({ code: 'user-room-refused' });
    });

    it('joins the user room hidden and shows itself later, piece by piece', async () => {
      const { room, tavus, user } = await setup();
      await room.join(tavus, signal());
      await expect(room.showInUserRoom('audio', signal())).rejects.toMatchObject({ code: 'user-room-refused' });
      const joined = await room.joinUserRoom({ ...user, hidden: true }, signal());
      expect(joined.participants.find((participant) => participant.local)?.tracks['audio'] ?? 'off').toBe('off');
      await room.showInUserRoom('video', signal());
      await room.showInUserRoom('audio', signal());
      await room.showInUserRoom('audio', signal());
      await room.endUserAudio(500, signal());
    });

    it('takes the track away and publishes it again', async () => {
      const { room, until, lastPlayed } = await published();
      await room.unpublishStream(signal());
      await room.unpublishStream(signal());
      expect(room.write(second)).toBe(false);
      await room.publishStream(signal());
      room.write(second.subarray(0, 9_600));
      await until(() => lastPlayed()?.samples === 4_800 && lastPlayed()?.waiting === 0, 'played');
    });

    it('needs the Tavus room for what happens in it', async () => {
      const { room } = await setup();
      await expect(room.publishStream(signal())).rejects.toMatchObject({ code: 'room-lost' });
      await expect(room.send({}, signal())).rejects.toMatchObject({ code: 'room-lost' });
      expect(room.write(second)).toBe(false);
    });

    it('plays what is written, to its end, and tells how far it is', async () => {
      const { room, events, until, lastPlayed } = await published();
      expect(room.write(second.subarray(0, sampleRate))).toBe(true);
      await until(() => lastPlayed()?.waiting === 0, 'all played');
      expect(lastPlayed()).toEqual({ type: 'played', samples: sampleRate / 2, waiting: 0 });
      const reports = events.flatMap((event) => (event.type === 'played' ? [event.samples] : []));
      expect(reports.length).toBeGreaterThan(2);
      expect(reports).toEqual(reports.toSorted((a, b) => a - b));
    });

    it('takes ten seconds and refuses what is over', async () => {
      const { room } = await published();
      for (let taken = 0; taken < maxWaitingSamples; taken += sampleRate) expect(room.write(second)).toBe(true);
      expect(room.write(second)).toBe(false);
      await room.flush(signal());
      expect(room.write(second)).toBe(true);
    });

    it('drops what waits at a flush, and counts what was played before', async () => {
      const { room, until, lastPlayed } = await published();
      room.write(second);
      await until(() => (lastPlayed()?.samples ?? 0) > 0, 'playing');
      const { playedSamples } = await room.flush(signal());
      expect(playedSamples).toBeGreaterThan(0);
      expect(playedSamples).toBeLessThan(sampleRate);
      room.write(second.subarray(0, 4_800));
      await until(
        () => lastPlayed()?.waiting === 0 && lastPlayed()?.samples !== playedSamples,
        'the next sound played',
      );
      expect(lastPlayed()?.samples).toBe(playedSamples + 2_400);
      expect(await room.flush(signal())).toEqual({ playedSamples: playedSamples + 2_400 });
    });

    it('counts from 0 again when the track is published again', async () => {
      const { room, until, lastPlayed } = await published();
      room.write(second.subarray(0, 9_600));
      await until(() => lastPlayed()?.samples === 4_800, 'played');
      await room.publishStream(signal());
      expect(await room.flush(signal())).toEqual({ playedSamples: 0 });
    });

    it('sends messages up to the length of the room', async () => {
      const { room, tavus } = await setup();
      const { maxMessageLength } = await room.join(tavus, signal());
      await room.send('x'.repeat(maxMessageLength - 2), signal());
      await expect(room.send('x'.repeat(maxMessageLength - 1), signal())).rejects.toMatchObject({
        code: 'message-refused',
      });
    });

    it.each(['jpeg', 'encoded'] as const)('hands out pictures of who is watched, as %s', async (format) => {
      const { room, tavus, events, until, visited } = await setup();
      await room.join(tavus, signal());
      const id = await visited('tavus');
      const picture = format === 'jpeg' ? { format, maxFps: 5 } : { format };
      room.watch(id, { video: true, audio: true, picture });
      const pictures = () => events.flatMap((event) => (event.type === 'picture' ? [event.picture] : []));
      await until(() => pictures().length >= 5, 'pictures');
      expect(pictures()[0]).toMatchObject({ key: true, width: 320, height: 180 });
      const times = pictures().map(({ pts }) => pts);
      expect(times.every((time, at) => at === 0 || time > (times[at - 1] ?? 0))).toBe(true);
      const formats = new Set(pictures().map((each) => each.format));
      expect(formats.size).toBe(1);
      expect([...formats][0]).toMatch(format === 'jpeg' ? /^jpeg$/ : /^(vp8|h264)$/);
      // Not at once: just after the first one another would be pointless.
      await until(() => pictures().at(-1)?.key === (format === 'jpeg'), 'pictures that need one before');
      const seen = pictures().length;
      await until(() => {
        room.requestKeyFrame();
        return pictures()
          .slice(seen)
          .some(({ key }) => key);
      }, 'another key frame');
    });

    it.each(['tavus', 'user'] as const)(
      'hears those in the %s room whom it was told to, and nobody else',
      async (where) => {
        const { room, tavus, user, events, until, visited } = await setup();
        await room.join(tavus, signal());
        await room.joinUserRoom(user, signal());
        const [one, other] = [await visited(where), await visited(where)];
        const heard = (): string[] =>
          events.flatMap((event) => (event.type === 'user-audio' ? [event.participantId] : []));
        room.hearUsers(where, [one]);
        await until(() => heard().length >= 5, 'a voice');
        expect(new Set(heard())).toEqual(new Set([one]));
        room.hearUsers(where, [one, other]);
        await until(() => heard().includes(other), 'the other voice');
        room.hearUsers(where, [other]);
        let silentSince = events.length;
        // What was on its way may still come.
        await until(() => {
          const since = events
            .slice(silentSince)
            .flatMap((event) => (event.type === 'user-audio' ? [event.participantId] : []));
          if (since.includes(one)) silentSince = events.length;
          return since.length >= 20;
        }, 'the other voice alone');
        const blocks = events.flatMap((event) => (event.type === 'user-audio' ? [event] : []));
        expect(blocks.every(({ pcm }) => pcm.byteLength === sampleRate * 0.04)).toBe(true);
      },
    );

    it('takes wishes about pictures and voices at any time', async () => {
      const { room, tavus, events } = await setup();
      room.requestKeyFrame();
      room.hearUsers('user', ['nobody']);
      await room.join(tavus, signal());
      room.requestKeyFrame();
      room.hearUsers('tavus', ['nobody']);
      await room.flush(signal());
      await room.leave();
      room.requestKeyFrame();
      room.hearUsers('tavus', []);
      expect(events.some(({ type }) => type === 'picture' || type === 'user-audio')).toBe(false);
    });

    it('lets the epoch only rise', async () => {
      const { room, tavus, identity } = await setup();
      await room.join(tavus, signal());
      const rising = room.raiseEpoch(identity.epoch + 1, signal());
      await room.send({ during: 'the rise' }, signal());
      await room.flush(signal());
      await rising;
      await expect(room.raiseEpoch(identity.epoch + 1, signal())).rejects.toThrow('only rises');
      await room.send({ after: 'the rise' }, signal());
    });

    it('does nothing for a signal that is aborted already', async () => {
      const { room, tavus } = await setup();
      const reason = new Error('not wanted any more');
      await expect(room.join(tavus, AbortSignal.abort(reason))).rejects.toBe(reason);
      expect((await room.join(tavus, signal())).participantId).toBeTruthy();
    });

    it('leaves twice, and is over then', async () => {
      const { room, user } = await published();
      await room.joinUserRoom(user, signal());
      await Promise.all([room.leave(), room.leave(signal())]);
      await room.leave();
      expect(room.write(second)).toBe(false);
      await expect(room.send({}, signal())).rejects.toMatchObject({ code: 'room-lost' });
    });

    it.each([
      { after: 'joining', join: true },
      { after: 'nothing at all', join: false },
    ])('closes twice after $after; `closed` is the last event, once', async ({ join }) => {
      const { room, tavus, events } = await setup();
      if (join) await room.join(tavus, signal());
      await Promise.all([room.close(), room.close()]);
      await room.close();
      expect(events.at(-1)).toMatchObject({ type: 'closed', code: 'asked' });
      expect(events.filter((event) => event.type === 'closed')).toHaveLength(1);
      expect(room.write(second)).toBe(false);
      await expect(room.send({}, signal())).rejects.toMatchObject({ code: 'page-silent' });
      await room.leave();
    });
  });
}
