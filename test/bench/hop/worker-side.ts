import { fork } from 'node:child_process';
import { StartRequest, ConversationRecord, splitRequest } from '@tavus-fleet/contracts';
import { systemClock } from '@tavus-fleet/lifecycle';
import { connectRedis, createKeys, readEntries, silentLog, StreamReader } from '@tavus-fleet/redis';
import type { Room, Rooms } from '@tavus-fleet/rooms';
import { openRoom } from '@tavus-fleet/rooms/fake-page';
import { Session } from '@tavus-fleet/worker/src/session/session.ts';
import type { SessionDeps } from '@tavus-fleet/worker/src/session/deps.ts';
import type { Latencies } from './latencies.ts';
import type { FromPages, ToPages } from './messages.ts';

/**
 * A worker from the stream to the socket of the page: the reader, whole sessions with their video service, and rooms are the
 * product's own code. Tavus, record and ledger say yes at once; a checkpoint is a real write, as it shares the event loop.
 */
export async function startSessions(
  url: string,
  prefix: string,
  conversations: number,
  latencies: Latencies,
): Promise<void> {
  const keys = createKeys(prefix);
  const commands = connectRedis(url, { role: 'commands', name: 'hop:commands', log: silentLog });
  const blocking = connectRedis(url, { role: 'blocking', name: 'hop:frames', log: silentLog });
  const reader = new StreamReader({ blocking, bell: { key: keys.bell('w-hop'), commands } });
  const rooms = roomsOnPages(latencies);
  const { spec } = splitRequest(StartRequest.parse({ replicaId: 'r-hop', tavus: { audioOnly: true } }));
  for (let index = 0; index < conversations; index += 1) {
    const conversationId = `c${index}`;
    const { frames, record: recordKey } = keys.conversation(conversationId);
    const record = ConversationRecord.parse({
      conversationId,
      state: 'queued',
      epoch: 1,
      createdBy: 'bench',
      spec,
      createdAt: systemClock.now(),
    });
    const deps: SessionDeps = {
      workerId: 'w-hop',
      record,
      ownership: { conversationId, epoch: 1, nonce: 'bench' },
      succession: {},
      mediaOut: { audio: async () => true, userAudio: async () => true, video: async () => true },
      records: {
        secrets: async () => ({}),
        created: async () => 'patched',
        moveTo: async () => 'moved',
        stopping: async () => 'moved',
        checkpoint: async (at) => {
          await commands.hset(recordKey, 'position', at.position ?? '0', 'counters', JSON.stringify(at.counters));
          return 'patched';
        },
        end: async () => 'moved',
        append: async () => true,
        leftSpeaking: async () => false,
      },
      frames: {
        subscribe: (fromId, onEntries) => reader.subscribe(frames, fromId, onEntries),
        newest: () => Promise.resolve('0-0'),
        read: async (ids) => readEntries(await commands.xrangeBuffer(frames, ids[0] ?? '-', ids.at(-1) ?? '-')),
      },
      tavus: {
        create: async () => ({ conversationId: `t${index}`, conversationUrl: 'https://example.daily.co/room' }),
        findActive: async () => undefined,
        look: async () => ({ active: false }),
        active: async () => new Map(),
        end: async () => undefined,
        personaName: async () => 'Replica',
      },
      ledger: {
        rows: async () => [],
        intend: async () => ({ outcome: 'ok', name: `n${index}` }),
        adopted: async () => undefined,
        closed: async () => undefined,
      },
      rooms,
      userRoomHosts: [],
      meters: {
        ttfb: () => undefined,
        dropped: (why, count) => {
          throw new Error(`${count} frames dropped: ${why}`);
        },
        started: () => undefined,
        ended: () => undefined,
        frameAge: () => undefined,
      },
      clock: systemClock,
      redisNowMs: systemClock.now(),
      log: {
        info: () => undefined,
        warn: (fields, message) => process.stderr.write(`${message} ${JSON.stringify(fields)}\n`),
      },
    };
    const session = new Session(deps);
    void session.run().then((ending) => {
      // Figures of fewer conversations than were asked for would be too good.
      process.stderr.write(`a session ended: ${JSON.stringify(ending)}\n`);
      process.exit(1);
    });
    const how = await session.started;
    if (how !== 'live') throw new Error(`A session did not become live: ${JSON.stringify(how)}`);
  }
}

/** Rooms whose pages another process plays; each write into one is a measured arrival. */
function roomsOnPages(latencies: Latencies): Rooms {
  const pages = fork(new URL('./pages.ts', import.meta.url), { stdio: 'inherit' });
  const opened = new Map<string, () => void>();
  pages.on('message', (message) => opened.get((message as FromPages).opened)?.()); // our own child wrote it
  return {
    async open({ conversationId, epoch }) {
      const { room } = await openRoom({ conversationId, epoch }, async (url, token) => {
        const { promise, resolve } = Promise.withResolvers<void>();
        opened.set(conversationId, resolve);
        pages.send({ url, token, conversationId } satisfies ToPages);
        await promise;
        return { close: () => undefined };
      });
      return stamping(room, latencies);
    },
    memoryBytes: async () => 0,
    close: async () => pages.disconnect(),
  };
}

function stamping(room: Room, latencies: Latencies): Room {
  const write = room.write.bind(room);
  room.write = (pcm) => {
    const taken = write(pcm);
    if (!taken) throw new Error('The ring is full: the page does not keep up.');
    latencies.arrived(pcm);
    return taken;
  };
  return room;
}
