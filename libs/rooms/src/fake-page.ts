import { once } from 'node:events';
import { systemClock, type Clock } from '@tavus-fleet/lifecycle';
import { WebSocket } from 'ws';
import { DailyRoom } from './daily-room.ts';
import { PageServer } from './page-server.ts';
import type { Room } from './port.ts';
import type { Command, FromNode, FromPage, Identity, WireEvent } from './wire.ts';

/** Test code: the page's end of the media channel without a browser, for tests of the channel and for benchmarks of the way to it. */
export type FakePage = {
  /** PCM bytes that arrived. */
  readonly receivedBytes: number;
  readonly messages: readonly FromNode[];
  /** Called for each block of PCM. */
  onAudio: (pcm: Buffer) => void;
  /** What a command is answered; default: success. `undefined`: no answer at all. */
  answer: (id: number, command: Command) => FromPage | undefined;
  /** Whether heartbeats are answered. */
  answersHeartbeats: boolean;
  emit(event: WireEvent): void;
  sendRaw(data: string | Buffer): void;
  /** Resolves with how our process closed it. */
  readonly closed: Promise<unknown>;
  close(): void;
};

/** Connects to a PageServer's channel as a page does and shows the token. `url` is the page server's. */
export async function connectFakePage(
  url: string,
  token: string,
  identity: Identity,
  origin = url.replace(/\/$/, ''),
): Promise<FakePage> {
  const socket = new WebSocket(`${url.replace(/^http/, 'ws')}channel`, { origin, perMessageDeflate: false });
  const messages: FromNode[] = [];
  let receivedBytes = 0;
  const send = (message: FromPage): void => socket.send(JSON.stringify(message));
  const page: FakePage = {
    get receivedBytes() {
      return receivedBytes;
    },
    messages,
    onAudio: () => undefined,
    answer: (id, command) => ({ type: 'answer', id, ok: true, result: successOf(command, identity, receivedBytes) }),
    answersHeartbeats: true,
    emit: (event) => send({ type: 'event', event }),
    sendRaw: (data) => socket.send(data),
    closed: once(socket, 'close'),
    close: () => socket.close(),
  };
  socket.on('message', (data, isBinary) => {
    // `ws` gives a Buffer unless told otherwise.
    const bytes = data as Buffer;
    if (isBinary) {
      receivedBytes += bytes.byteLength;
      return page.onAudio(bytes);
    }
    const message = JSON.parse(bytes.toString('utf8')) as FromNode; // our own process wrote it
    messages.push(message);
    if (message.type === 'heartbeat' && page.answersHeartbeats) send({ type: 'alive', mainAgeMs: 0, droppedBytes: 0 });
    if (message.type !== 'command') return;
    const answer = page.answer(message.id, message.command);
    if (answer) send(answer);
  });
  await once(socket, 'open');
  send({ type: 'hello', token, identity });
  return page;
}

/** A DailyRoom with all of its own code and the real socket, but no browser: only the page is played. */
export async function openRoomOnFakePage(
  identity: Identity,
  clock: Clock = systemClock,
): Promise<{ room: Room; page: FakePage; log: readonly string[]; close: () => Promise<void> }> {
  return openRoom(identity, (url, token) => connectFakePage(url, token, identity), clock);
}

/** The same, whoever plays the page: `connect` may let another process do it, so that its work is not in this one's figures. */
export async function openRoom<Page extends Pick<FakePage, 'close'>>(
  identity: Identity,
  connect: (url: string, token: string) => Promise<Page>,
  clock: Clock = systemClock,
): Promise<{ room: Room; page: Page; log: readonly string[]; close: () => Promise<void> }> {
  const server = await PageServer.start({ bundleUrl: '', clock });
  const { token, socket } = server.expect(identity, AbortSignal.timeout(5_000));
  const page = await connect(server.url, token);
  const log: string[] = [];
  const handle = { onClosed: () => undefined, close: async () => page.close() };
  const room = new DailyRoom({ page: handle, socket: await socket, identity, clock, log: (line) => log.push(line) });
  const close = async (): Promise<void> => {
    await room.close();
    await server.close();
  };
  return { room, page, log, close };
}

function successOf(command: Command, identity: Identity, receivedBytes: number): unknown {
  if (command.type === 'flush') return { playedSamples: receivedBytes / 2 };
  if (command.type !== 'join') return undefined;
  const local = { id: 'local', userName: command.userName, userData: identity, local: true, tracks: {} };
  return { participantId: 'local', participants: [local], maxMessageLength: 4_096 };
}
