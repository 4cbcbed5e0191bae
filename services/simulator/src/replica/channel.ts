import { randomBytes } from 'node:crypto';
import { systemClock, type Clock } from '@tavus-fleet/lifecycle';
import type { WebSocket } from 'ws';
import { z } from 'zod';
import type { DailyServer } from '../daily/server.ts';

export type ChannelEvents = { onSound(pcm: Buffer): void; onSilence(samples: number): void };
/** What we tell a replica's page. */
export type Control = { readonly type: 'freeze' | 'mute'; readonly on: boolean };
export type Channel = { readonly token: string; send(control: Control): void; close(): void };

const PATH = '/replica/ws';
const HELLO_DEADLINE_MS = 10_000;
/** One block is 4800 bytes; a page that sends more at once is not ours. */
const MAX_BLOCK_BYTES = 64 * 1024;
const Silence = z.object({ silence: z.number().int().min(1).max(240_000) });

type Seat = { readonly events: ChannelEvents; socket: WebSocket | null; waiting: Control[] };

/**
 * The sockets on which replica pages send what they hear and take orders. The first message of a socket is its token, once;
 * an order given before the page is there waits for it.
 */
export class ReplicaChannels {
  readonly #seats = new Map<string, Seat>();
  readonly #clock: Clock;

  constructor(server: DailyServer, clock: Clock = systemClock) {
    this.#clock = clock;
    server.route(PATH, (socket) => this.#accept(socket));
  }

  open(events: ChannelEvents): Channel {
    const token = randomBytes(32).toString('hex');
    const seat: Seat = { events, socket: null, waiting: [] };
    this.#seats.set(token, seat);
    return {
      token,
      send: (control) => {
        if (seat.socket) seat.socket.send(JSON.stringify(control));
        else if (seat.waiting.length < 100) seat.waiting.push(control);
      },
      close: () => {
        this.#seats.delete(token);
        seat.socket?.close(1000);
        seat.socket = null;
      },
    };
  }

  #accept(socket: WebSocket): void {
    let seat: Seat | undefined;
    const hello = this.#clock.after(HELLO_DEADLINE_MS, () => socket.terminate());
    socket.on('message', (raw, isBinary) => {
      const data = raw as Buffer; // binaryType is nodebuffer
      if (!seat) {
        seat = isBinary ? undefined : this.#seats.get(data.toString('utf8'));
        hello[Symbol.dispose]();
        if (!seat || seat.socket) return socket.terminate();
        seat.socket = socket;
        for (const control of seat.waiting.splice(0)) socket.send(JSON.stringify(control));
      } else if (data.length > MAX_BLOCK_BYTES) socket.terminate();
      else if (isBinary) seat.events.onSound(data);
      else {
        const silence = Silence.safeParse(JSON.parse(data.toString('utf8')));
        if (silence.success) seat.events.onSilence(silence.data.silence);
      }
    });
    socket.on('close', () => {
      hello[Symbol.dispose]();
      if (seat?.socket === socket) seat.socket = null;
    });
    // `close` follows every error; nothing more to do here.
    socket.on('error', () => socket.terminate());
  }
}
